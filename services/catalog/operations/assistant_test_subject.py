"""What a run of an assistant test executes: one conversation with a version of the assistant."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from assay.catalog.internal.v1 import catalog_pb2, parts_pb2, subjects_pb2 as pb
from services.catalog.convert.internal import target
from services.catalog.entities.agents import Definition, Version
from services.catalog.entities.assistant_tests import AssistantTest
from services.catalog.store import agents, assistant_tests, connections, workspace_settings
from shared.errors import Invalid, NotFound
from shared.ids import canonical_id, parse_id
from shared.json_values import struct
from shared.postgres import Connection as Sql, Database

CONVERSATION = "conversation"
CRITERION = "rubric_criterion"
PLAYED_TURNS = 10


@dataclass(frozen=True)
class AssistantTestSubject:
    """Opens the family `assistant_test`."""

    database: Database

    async def open(self, workspace_id: UUID, request: pb.OpenSubjectRequest) -> AsyncIterator[pb.SubjectPart]:
        """The test and its one case. Raises NotFound for the test, Invalid for the version or an assistant that was deleted."""
        test_id = parse_id(request.subject_id, assistant_tests.KIND)
        async with self.database.connection() as sql:
            test = await assistant_tests.get(sql, workspace_id, test_id)
            version = await _version(sql, test, request.version_id)
            called = await agent_target(sql, workspace_id, version.definition)
            simulator = await simulator_target(sql, workspace_id)
        yield pb.SubjectPart(subject=_subject(test, version, called, simulator))
        case = _case(test, version, played=simulator is not None)
        yield pb.SubjectPart(cases=catalog_pb2.CaseBatch(cases=[case]))

    async def check(self, workspace_id: UUID, subject_id: str) -> None:
        """Raises NotFound if the workspace has no such test."""
        test_id = parse_id(subject_id, assistant_tests.KIND)
        async with self.database.connection() as sql:
            await assistant_tests.get(sql, workspace_id, test_id)


@dataclass(frozen=True)
class SuiteSubject:
    """Suites: runs are listed by them, and each of their tests is run by itself."""

    database: Database

    async def check(self, workspace_id: UUID, subject_id: str) -> None:
        """Raises NotFound if the workspace has no test in such a suite."""
        await self.tests(workspace_id, subject_id)

    async def tests(self, workspace_id: UUID, suite: str) -> list[UUID]:
        """In order of creation. Raises NotFound for a suite without tests."""
        async with self.database.connection() as sql:
            return await assistant_tests.tests_of(sql, workspace_id, suite)


async def agent_target(sql: Sql, workspace: UUID, definition: Definition) -> catalog_pb2.Target:
    """What is called for a version of an agent."""
    connection = await connections.get(sql, workspace, definition.connection_id)
    tools = definition.functions()
    parameters = {"tools": tools} if tools else None
    return target(connection, definition.model_on(connection), definition.instructions, parameters)


async def simulator_target(sql: Sql, workspace: UUID) -> catalog_pb2.Target | None:
    """What plays the simulated user; None where the workspace has named nobody."""
    simulator = await workspace_settings.simulator(sql, workspace)
    if simulator.connection_id is None:
        return None
    connection = await connections.get(sql, workspace, simulator.connection_id)
    return target(connection, simulator.model or connection.settings.model)


async def _version(sql: Sql, test: AssistantTest, version_id: str) -> Version:
    try:
        agent = await agents.get(sql, test.workspace_id, test.plan.agent_id)
    except NotFound:
        raise Invalid({"destination": "the assistant was deleted"}) from None
    if not version_id:
        return agent.main
    try:
        return await agents.get_version(sql, test.workspace_id, agent.id, canonical_id(version_id))
    except (NotFound, ValueError):
        raise Invalid({"destination_version_id": "must be the id of a version of the test's assistant"}) from None


def _subject(test: AssistantTest, version: Version, called: catalog_pb2.Target, simulator: catalog_pb2.Target | None) -> pb.Subject:
    evaluators = [
        parts_pb2.Evaluator(name=criterion.name, template=CRITERION, config=struct({"criteria": criterion.criteria}))
        for criterion in test.plan.rubric
    ]
    return pb.Subject(
        subject_id=str(test.id),
        group_key=test.plan.suite or "",
        target_id=str(version.id),
        mode=CONVERSATION,
        language=version.definition.language,
        target=called,
        simulator=simulator,
        evaluators=evaluators,
    )


def _case(test: AssistantTest, version: Version, *, played: bool) -> catalog_pb2.Case:
    script = test.plan.script()
    simulation = parts_pb2.Simulation(
        script=script,
        instructions=test.plan.instructions,
        max_turns=PLAYED_TURNS if played else len(script),
        max_duration_seconds=test.plan.max_duration_seconds or 0,
    )
    content = struct({"tools": version.definition.functions()})
    return catalog_pb2.Case(id=str(test.id), question=script[0], simulation=simulation, content=content)
