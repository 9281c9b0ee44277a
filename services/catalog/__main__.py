"""The catalog service: `python -m services.catalog`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import grpc

from assay.catalog.internal.v1 import catalog_pb2_grpc, subjects_pb2_grpc
from assay.catalog.v1 import (
    agent_datasets_pb2_grpc,
    agent_definitions_pb2_grpc,
    assistant_tests_pb2_grpc,
    assistants_pb2_grpc,
    connections_pb2_grpc,
    contexts_pb2_grpc,
    datasets_pb2_grpc,
    evaluation_criteria_pb2_grpc,
    files_pb2_grpc,
    prompt_datasets_pb2_grpc,
    prompt_test_cases_pb2_grpc,
    prompt_versions_pb2_grpc,
    prompts_pb2_grpc,
    run_tests_pb2_grpc,
    scenarios_pb2_grpc,
    test_cases_pb2_grpc,
    test_sets_pb2_grpc,
)
from assay.common.internal.v1 import outbox_pb2_grpc
from assay.reporting.internal.v1.reporting_pb2_grpc import ReportingInternalServiceStub
from assay.runner.internal.v1.runner_pb2_grpc import RunnerInternalServiceStub
from assay.scoring.internal.v1.templates_pb2_grpc import TemplateInternalServiceStub
from services.catalog import consumer
from services.catalog.clients import Peers
from services.catalog.operations.agents import Agents
from services.catalog.operations.assistant_test_subject import AssistantTestSubject, SuiteSubject
from services.catalog.operations.assistant_tests import SUITE, TEST, AssistantTests
from services.catalog.operations.connections import Connections
from services.catalog.operations.contexts import Contexts
from services.catalog.operations.credentials import Credentials
from services.catalog.operations.dataset_subject import DatasetSubjects, ProjectSubjects
from services.catalog.operations.datasets import Datasets
from services.catalog.operations.evaluators import Evaluators
from services.catalog.operations.files import Files
from services.catalog.operations.prompt_case_subject import CASE, PROMPT, PromptCaseSubject, PromptSubject
from services.catalog.operations.prompt_cases import PromptCases
from services.catalog.operations.prompts import PromptApplications, Prompts, PromptVersions
from services.catalog.operations.retention import Retention
from services.catalog.operations.run_test_subject import FAMILY as RUN_TEST, RunTestSubject
from services.catalog.operations.run_tests import RunTests
from services.catalog.operations.scenarios import Scenarios
from services.catalog.operations.targets import Targets
from services.catalog.operations.template_ids import TemplateIds
from services.catalog.operations.test_cases import TestCases
from services.catalog.operations.test_sets import TestSets
from services.catalog.pruning import prune_for_ever
from services.catalog.secrets_box import KeyRing, read_keys
from services.catalog.servicers.agent_datasets import AgentDatasetServicer
from services.catalog.servicers.agent_definitions import AgentDefinitionServicer
from services.catalog.servicers.assistant_tests import AssistantTestServicer
from services.catalog.servicers.assistants import AssistantServicer
from services.catalog.servicers.connections import ConnectionServicer
from services.catalog.servicers.contexts import ContextServicer
from services.catalog.servicers.datasets import DatasetServicer
from services.catalog.servicers.evaluation_criteria import EvaluationCriterionServicer
from services.catalog.servicers.files import FileServicer
from services.catalog.servicers.internal import CatalogInternalServicer
from services.catalog.servicers.prompt_cases import PromptTestCaseServicer
from services.catalog.servicers.prompt_datasets import PromptDatasetServicer
from services.catalog.servicers.prompt_versions import PromptVersionServicer
from services.catalog.servicers.prompts import PromptApplicationServicer, PromptServicer
from services.catalog.servicers.run_tests import RunTestServicer
from services.catalog.servicers.scenarios import ScenarioServicer
from services.catalog.servicers.subjects import Checked, Opener, SubjectInternalServicer
from services.catalog.servicers.test_cases import TestCaseServicer
from services.catalog.servicers.test_sets import TestSetServicer
from shared import server, service
from shared.identity import Authenticate
from shared.interceptors import Boundary
from shared.outbox_service import OutboxServicer
from shared.postgres import Database, open_pool

SERVICE = "catalog"
SCHEMA = "0007"
ACK_WAIT = 30.0


@dataclass(frozen=True, kw_only=True)
class Config(service.Settings):
    """The catalog's own settings."""

    runner_address: str
    reporting_address: str
    scoring_address: str
    encryption_keys: str
    public_url: str
    instance: str = SERVICE
    allowed_origins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rooms:
    """Everything that can be done, on one database."""

    database: Database
    keys: KeyRing
    peers: Peers
    public_url: str

    @property
    def credentials(self) -> Credentials:
        """Who is calling."""
        return Credentials(self.database, now)

    @property
    def test_sets(self) -> TestSets:
        """Test sets, and what runs tell of them."""
        return TestSets(self.database, self.peers, now)

    @property
    def datasets(self) -> Datasets:
        """Datasets, and the runs that are opened of them."""
        return Datasets(self.database, self.peers, now)

    def register(self, grpc_server: grpc.aio.Server) -> None:
        """Adds every servicer."""
        connections = Connections(self.database, self.keys, now)
        connections_pb2_grpc.add_ConnectionServiceServicer_to_server(ConnectionServicer(connections), grpc_server)
        contexts_pb2_grpc.add_ContextServiceServicer_to_server(ContextServicer(Contexts(self.database, now)), grpc_server)
        test_sets_pb2_grpc.add_TestSetServiceServicer_to_server(TestSetServicer(self.test_sets), grpc_server)
        test_cases_pb2_grpc.add_TestCaseServiceServicer_to_server(TestCaseServicer(TestCases(self.database, now)), grpc_server)
        files = FileServicer(Files(self.database, now), self.public_url)
        files_pb2_grpc.add_FileServiceServicer_to_server(files, grpc_server)
        internal = CatalogInternalServicer(self.credentials, Targets(self.database, self.keys))
        catalog_pb2_grpc.add_CatalogInternalServiceServicer_to_server(internal, grpc_server)
        outbox_pb2_grpc.add_OutboxServiceServicer_to_server(OutboxServicer(SERVICE, self.database), grpc_server)
        self._register_projects(grpc_server)
        self._register_assistants(grpc_server)
        self._register_simulations(grpc_server)
        self._register_prompts(grpc_server)
        self._register_subjects(grpc_server)

    def _register_projects(self, grpc_server: grpc.aio.Server) -> None:
        criteria = EvaluationCriterionServicer(Evaluators(self.database, self.peers, now))
        evaluation_criteria_pb2_grpc.add_EvaluationCriterionServiceServicer_to_server(criteria, grpc_server)
        datasets_pb2_grpc.add_DatasetServiceServicer_to_server(DatasetServicer(self.datasets), grpc_server)
        prompt_datasets_pb2_grpc.add_PromptDatasetServiceServicer_to_server(PromptDatasetServicer(self.datasets), grpc_server)
        agent_datasets_pb2_grpc.add_AgentDatasetServiceServicer_to_server(AgentDatasetServicer(self.datasets), grpc_server)

    def _register_assistants(self, grpc_server: grpc.aio.Server) -> None:
        assistants = AssistantServicer(Agents(self.database, now))
        assistants_pb2_grpc.add_AssistantServiceServicer_to_server(assistants, grpc_server)
        tests = AssistantTestServicer(AssistantTests(self.database, self.peers, now))
        assistant_tests_pb2_grpc.add_AssistantTestServiceServicer_to_server(tests, grpc_server)

    def _register_simulations(self, grpc_server: grpc.aio.Server) -> None:
        definitions = AgentDefinitionServicer(Agents(self.database, now), self.public_url)
        agent_definitions_pb2_grpc.add_AgentDefinitionServiceServicer_to_server(definitions, grpc_server)
        scenarios = ScenarioServicer(Scenarios(self.database, now), self.public_url)
        scenarios_pb2_grpc.add_ScenarioServiceServicer_to_server(scenarios, grpc_server)
        rules = Evaluators(self.database, self.peers, now)
        run_tests = RunTests(self.database, self.peers, rules, TemplateIds(self.peers), now)
        run_tests_pb2_grpc.add_RunTestServiceServicer_to_server(RunTestServicer(run_tests, self.public_url), grpc_server)

    def _register_prompts(self, grpc_server: grpc.aio.Server) -> None:
        prompts_pb2_grpc.add_PromptServiceServicer_to_server(PromptServicer(Prompts(self.database, now)), grpc_server)
        versions = PromptVersionServicer(PromptVersions(self.database, now))
        prompt_versions_pb2_grpc.add_PromptVersionServiceServicer_to_server(versions, grpc_server)
        applications = PromptApplicationServicer(PromptApplications(self.database, now))
        prompts_pb2_grpc.add_PromptApplicationServiceServicer_to_server(applications, grpc_server)
        cases = PromptTestCaseServicer(PromptCases(self.database, self.peers, now))
        prompt_test_cases_pb2_grpc.add_PromptTestCaseServiceServicer_to_server(cases, grpc_server)

    def _register_subjects(self, grpc_server: grpc.aio.Server) -> None:
        suites = SuiteSubject(self.database)
        openers: dict[str, Opener] = {
            TEST: AssistantTestSubject(self.database),
            RUN_TEST: RunTestSubject(self.database),
            "dataset": DatasetSubjects(self.datasets),
            CASE: PromptCaseSubject(self.database, now),
        }
        listed: dict[str, Checked] = {SUITE: suites, "project": ProjectSubjects(self.database), PROMPT: PromptSubject(self.database)}
        subjects_pb2_grpc.add_SubjectInternalServiceServicer_to_server(SubjectInternalServicer(openers, listed, suites), grpc_server)


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def boundary(settings: Config, authenticate: Authenticate) -> Boundary:
    """What is around every call; browsers may write from our own pages, and from those that are allowed."""
    return service.boundary(settings, authenticate, (service.origin(settings.public_url), *settings.allowed_origins))


def asking(peers: service.Peers) -> Peers:
    """The other services, as far as the catalog asks them."""
    return Peers(
        RunnerInternalServiceStub(peers.channels["runner"]),
        ReportingInternalServiceStub(peers.channels["reporting"]),
        TemplateInternalServiceStub(peers.channels["scoring"]),
        peers.identity,
    )


def build(settings: Config, database: Database) -> server.App:
    """The whole service."""
    process = service.connect(SERVICE, SCHEMA, settings, database)
    rooms = Rooms(database, read_keys(settings.encryption_keys), asking(process.peers), settings.public_url)
    hearing = process.hearing([consumer.hearing(rooms.test_sets)], ACK_WAIT)
    tasks: list[service.Task] = [*hearing, partial(prune_for_ever, Retention(database))]
    return process.app(boundary(settings, rooms.credentials.authenticate), rooms.register, tasks, beneath=[process.relay().run])


async def main() -> None:
    """Serves until it is told to stop."""
    settings = service.start(SERVICE, Config)
    await server.serve(build(settings, Database(await open_pool(settings.postgres_url))))


if __name__ == "__main__":
    server.run(main())
