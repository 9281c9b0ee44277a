"""Plugs the reporting service together and serves it: `python -m services.reporting`."""

import os
from dataclasses import dataclass
from functools import partial

import grpc

from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.catalog.internal.v1.subjects_pb2_grpc import SubjectInternalServiceStub
from assay.common.internal.v1.outbox_pb2_grpc import OutboxServiceStub
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
from shared import config, observe, server, tracing
from shared.channels import Authenticated, ServiceIdentity, open_channel
from shared.consumer import Ear, GapWatch
from shared.identity import Identifier, read_issuers, through_catalog
from shared.interceptors import Boundary
from shared.jetstream import Broker, StreamSettings
from shared.postgres import Database, open_pool, until_migrated
from shared.tls import Transport

SERVICE = "reporting"
SCHEMA = "0003"
POOL = 12


@dataclass(frozen=True)
class Config(Transport):
    """ASSAY_POSTGRES_URL and so on; addresses are gRPC targets."""

    postgres_url: str
    nats_url: str
    listen: str
    catalog_address: str
    runner_address: str
    scoring_address: str
    service_key: str
    jwt_issuers: str
    public_url: str = ""
    allowed_origins: tuple[str, ...] = ()
    metrics_listen: str = ""
    instance: str = SERVICE
    lease_seconds: float = 15.0
    requests_per_second: float = 0.0  # per credential and process; 0: no limit
    log_level: str = "info"
    nats_replicas: int = 1  # of each stream; 3 where NATS is a cluster


@dataclass(frozen=True)
class Peers:
    """One channel per peer for the life of the process."""

    catalog: grpc.aio.Channel
    runner: grpc.aio.Channel
    scoring: grpc.aio.Channel

    async def close(self) -> None:
        """Hangs up."""
        for channel in (self.catalog, self.runner, self.scoring):
            await channel.close()

    def outboxes(self, identity: ServiceIdentity) -> dict[str, Authenticated]:
        """What lost events are read from, by producer."""
        channels = {"catalog": self.catalog, "runner": self.runner, "scoring": self.scoring}
        return {name: Authenticated(OutboxServiceStub(channel), identity) for name, channel in channels.items()}


def build(settings: Config, database: Database) -> server.App:
    """The whole service."""
    identity = ServiceIdentity(SERVICE, settings.service_key)
    peers = Peers(
        *(open_channel(address, settings.tls) for address in (settings.catalog_address, settings.runner_address, settings.scoring_address))
    )
    catalog_stub, runner_stub = CatalogInternalServiceStub(peers.catalog), RunnerInternalServiceStub(peers.runner)
    runner = Runner(runner_stub, identity)
    broker = Broker(settings.nats_url, settings.instance, StreamSettings(settings.nats_replicas), settings.nats_tls)
    feed = Feed(database, broker)
    projection, forgetting = Projection(database, runner, feed.tell), Forgetting(database, feed.tell)
    catalog = Catalog(catalog_stub, SubjectInternalServiceStub(peers.catalog), identity)
    learning = Learning(database, runner)
    simulations = SimulationReading(learning, catalog)
    ear = Ear(SERVICE, broker, settings.lease_seconds)
    heard = hearings(projection, forgetting)
    watch = GapWatch(ear, database, peers.outboxes(identity))
    origins = (settings.public_url, *settings.allowed_origins)
    issuers = read_issuers(settings.jwt_issuers)
    authenticate = through_catalog(Authenticated(catalog_stub, identity))

    def register(to: grpc.aio.Server) -> None:
        reports_pb2_grpc.add_ReportServiceServicer_to_server(
            ReportServicer(database, Reading(learning, catalog), Following(database, feed)), to
        )
        assistant_test_runs_pb2_grpc.add_AssistantTestReportServiceServicer_to_server(
            AssistantTestReportServicer(AssistantTestReading(learning, catalog)), to
        )
        project_test_runs_pb2_grpc.add_ProjectTestRunReportServiceServicer_to_server(
            ProjectTestRunReportServicer(ProjectTestRunReading(learning, catalog)), to
        )
        simulations_pb2_grpc.add_SimulationReportServiceServicer_to_server(SimulationReportServicer(simulations, settings.public_url), to)
        reporting_pb2_grpc.add_ReportingInternalServiceServicer_to_server(
            ReportingInternalServicer(forgetting, simulations, Generating(database, learning), ProjectTestRunReading(learning, catalog)), to
        )

    async def ready() -> None:
        broker.start()
        await until_migrated(database, SCHEMA)

    async def drain() -> None:
        feed.stop()

    async def close() -> None:
        await broker.close()
        await peers.close()
        await database.close()

    return server.App(
        name=SERVICE,
        listen=settings.listen,
        boundary=Boundary(Identifier(issuers, settings.service_key, authenticate, origins), settings.requests_per_second),
        register=register,
        ready=ready,
        tasks=[
            *(partial(ear.hear, hearing) for hearing in heard),
            partial(watch.watch, heard),
            feed.listen,
            feed.poll,
            Reconciler(database, forgetting, feed.tell).run,
        ],
        drain=drain,
        close=close,
        metrics_listen=settings.metrics_listen,
        certificates=settings.tls,
        health_listen=settings.health_listen,
    )


async def main() -> None:
    """Serves until it is told to stop."""
    settings = config.read(Config, os.environ)
    observe.configure_logs(SERVICE, settings.instance, settings.log_level)
    tracing.start(SERVICE, settings.instance, os.environ)
    database = Database(await open_pool(settings.postgres_url, POOL))
    await server.serve(build(settings, database))


if __name__ == "__main__":
    server.run(main())
