"""Plugs the reporting service together and serves it: `python -m services.reporting`."""

from dataclasses import dataclass

import grpc

from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.catalog.internal.v1.subjects_pb2_grpc import SubjectInternalServiceStub
from assay.reporting.internal.v1 import reporting_pb2_grpc
from assay.reporting.v1 import assistant_test_runs_pb2_grpc, project_test_runs_pb2_grpc, reports_pb2_grpc, simulations_pb2_grpc
from assay.runner.internal.v1.runner_pb2_grpc import RunnerInternalServiceStub
from services.reporting.clients import Catalog, Runner
from services.reporting.consumer import hearings
from services.reporting.feed import Feed
from services.reporting.operations.assistant_tests import AssistantTestReading
from services.reporting.operations.following import Following
from services.reporting.operations.forgetting import Forgetting
from services.reporting.operations.generating import Generating
from services.reporting.operations.learning import Learning
from services.reporting.operations.project_test_runs import ProjectTestRunReading
from services.reporting.operations.projection import Projection
from services.reporting.operations.reading import Reading
from services.reporting.operations.simulations import SimulationReading
from services.reporting.reconciler import Reconciler
from services.reporting.servicers.assistant_test_runs import AssistantTestReportServicer
from services.reporting.servicers.internal import ReportingInternalServicer
from services.reporting.servicers.project_test_runs import ProjectTestRunReportServicer
from services.reporting.servicers.reports import ReportServicer
from services.reporting.servicers.simulations import SimulationReportServicer
from shared import server, service
from shared.postgres import Database, open_pool

SERVICE = "reporting"
SCHEMA = "0003"
POOL = 12


@dataclass(frozen=True, kw_only=True)
class Config(service.Settings):
    """Reporting's own settings."""

    catalog_address: str
    runner_address: str
    scoring_address: str
    instance: str = SERVICE
    public_url: str = ""
    allowed_origins: tuple[str, ...] = ()
    lease_seconds: float = 15.0


@dataclass(frozen=True)
class Parts:
    """Everything that can be asked of reporting."""

    database: Database
    feed: Feed
    learning: Learning
    catalog: Catalog
    forgetting: Forgetting
    public_url: str

    def register(self, to: grpc.aio.Server) -> None:
        """Adds every servicer."""
        reports = ReportServicer(self.database, Reading(self.learning, self.catalog), Following(self.database, self.feed))
        reports_pb2_grpc.add_ReportServiceServicer_to_server(reports, to)
        tests = AssistantTestReportServicer(AssistantTestReading(self.learning, self.catalog))
        assistant_test_runs_pb2_grpc.add_AssistantTestReportServiceServicer_to_server(tests, to)
        projects = ProjectTestRunReading(self.learning, self.catalog)
        project_test_runs_pb2_grpc.add_ProjectTestRunReportServiceServicer_to_server(ProjectTestRunReportServicer(projects), to)
        simulations = SimulationReading(self.learning, self.catalog)
        simulations_pb2_grpc.add_SimulationReportServiceServicer_to_server(SimulationReportServicer(simulations, self.public_url), to)
        internal = ReportingInternalServicer(self.forgetting, simulations, Generating(self.database, self.learning), projects)
        reporting_pb2_grpc.add_ReportingInternalServiceServicer_to_server(internal, to)


def build(settings: Config, database: Database) -> server.App:
    """The whole service."""
    process = service.connect(SERVICE, SCHEMA, settings, database)
    peers = process.peers
    channel = peers.channels["catalog"]
    catalog = Catalog(CatalogInternalServiceStub(channel), SubjectInternalServiceStub(channel), peers.identity)
    runner = Runner(RunnerInternalServiceStub(peers.channels["runner"]), peers.identity)
    feed = Feed(database, process.broker)
    forgetting = Forgetting(database, feed.tell)
    parts = Parts(database, feed, Learning(database, runner), catalog, forgetting, settings.public_url)
    hearing = process.hearing(hearings(Projection(database, runner, feed.tell), forgetting), settings.lease_seconds)
    tasks = [*hearing, feed.listen, feed.poll, Reconciler(database, forgetting, feed.tell).run]
    origins = (service.origin(settings.public_url), *settings.allowed_origins)

    async def drain() -> None:
        feed.stop()

    return process.app(service.boundary(settings, peers.authenticate, origins), parts.register, tasks, drain=drain)


async def main() -> None:
    """Serves until it is told to stop."""
    settings = service.start(SERVICE, Config)
    await server.serve(build(settings, Database(await open_pool(settings.postgres_url, POOL))))


if __name__ == "__main__":
    server.run(main())
