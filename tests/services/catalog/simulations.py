"""What the tests of family B make in the catalog: scenarios, agents, datasets, run tests."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from assay.catalog.internal.v1 import subjects_pb2, subjects_pb2_grpc
from assay.catalog.v1 import (
    agent_definitions_pb2 as agents_pb,
    agent_definitions_pb2_grpc,
    run_tests_pb2 as pb,
    run_tests_pb2_grpc,
    scenarios_pb2 as scenarios_pb,
    scenarios_pb2_grpc,
)
from services.catalog.__main__ import now
from shared.ids import new_id
from tests.services.catalog.house import Caller, House
from tests.services.catalog.registry import TEMPLATES

POLITE: dict[str, Any] = {"name": "manners", "template_name": "is_polite", "mapping": {"output": "transcript"}}


class Simulations:
    """Family B of one house, as `caller` sees it."""

    def __init__(self, house: House, caller: Caller | None = None) -> None:
        self.house, self.caller = house, caller or house.us
        self.metadata = self.caller.metadata
        self.agents: Any = agent_definitions_pb2_grpc.AgentDefinitionServiceStub(house.channel)
        self.scenarios: Any = scenarios_pb2_grpc.ScenarioServiceStub(house.channel)
        self.run_tests: Any = run_tests_pb2_grpc.RunTestServiceStub(house.channel)
        self.subjects: Any = subjects_pb2_grpc.SubjectInternalServiceStub(house.channel)

    async def an_agent(self, **said: Any) -> agents_pb.AgentDefinition:
        if "connection_id" not in said:
            said["connection_id"] = (await self.house.a_connection(self.caller)).id
        request = agents_pb.CreateAgentDefinitionRequest(**{"agent_name": "clerk", **said})
        answer = await self.agents.CreateAgentDefinition(request, metadata=self.metadata)
        agent: agents_pb.AgentDefinition = answer.agent
        return agent

    async def a_version(self, agent_id: str, **said: Any) -> agents_pb.AgentDefinitionVersion:
        request = agents_pb.CreateAgentVersionRequest(agent_id=agent_id, **said)
        answer = await self.agents.CreateAgentVersion(request, metadata=self.metadata)
        version: agents_pb.AgentDefinitionVersion = answer.version
        return version

    async def activate(self, agent_id: str, version_id: str) -> agents_pb.AgentDefinitionVersion:
        request = agents_pb.ActivateAgentVersionRequest(agent_id=agent_id, version_id=version_id)
        answer = await self.agents.ActivateAgentVersion(request, metadata=self.metadata)
        version: agents_pb.AgentDefinitionVersion = answer.version
        return version

    async def agent_as_it_is(self, agent_id: str) -> agents_pb.AgentDefinition:
        request = agents_pb.GetAgentDefinitionRequest(agent_id=agent_id)
        agent: agents_pb.AgentDefinition = await self.agents.GetAgentDefinition(request, metadata=self.metadata)
        return agent

    async def a_scenario(self, **said: Any) -> scenarios_pb.Scenario:
        said = {"name": "greeting", **({} if said.keys() & {"kind", "persona", "goal", "dataset_id"} else {"script": ["Hello"]}), **said}
        answer = await self.scenarios.CreateScenario(scenarios_pb.CreateScenarioRequest(**said), metadata=self.metadata)
        scenario: scenarios_pb.Scenario = answer.scenario
        return scenario

    async def a_dataset(self, questions: Sequence[str], content: Mapping[str, Any] | None = None) -> tuple[str, list[str]]:
        """A dataset with these rows, straight in the store: its id, and those of the rows."""
        dataset_id, row_ids = new_id(), [new_id() for _ in questions]
        project = UUID(await self.house.a_project(self.caller))
        async with self.house.database.transaction() as sql:
            await sql.execute(
                """
                INSERT INTO test_sets (workspace_id, id, name, mode, language, revision, test_case_count, kind, project_id, created_at, updated_at)
                VALUES ($1, $2, 'rows', 'independent', 'en', 1, $3, 'prompt_dataset', $4, $5, $5)
                """,
                self.caller.workspace,
                dataset_id,
                len(questions),
                project,
                now(),
            )
            await sql.executemany(
                """
                INSERT INTO test_cases (workspace_id, test_set_id, id, from_rev, question, expected_response, test_method, passing_score,
                                        keywords, position, content, created_at, updated_at)
                VALUES ($1, $2, $3, 1, $4, 'fine', '', 0, '{}', $5, $6, $7, $7)
                """,
                [
                    (self.caller.workspace, dataset_id, row_id, question, place, content, now())
                    for place, (row_id, question) in enumerate(zip(row_ids, questions, strict=True))
                ],
            )
        return str(dataset_id), [str(row_id) for row_id in row_ids]

    async def a_request(self, **said: Any) -> pb.CreateRunTestRequest:
        """For a run test of one scenario and a new agent, unless it is said otherwise."""
        if "scenario_ids" not in said:
            said["scenario_ids"] = [(await self.a_scenario()).id]
        if "agent_definition_id" not in said:
            said["agent_definition_id"] = (await self.an_agent()).id
        return pb.CreateRunTestRequest(**{"name": f"run test {new_id()}", **said})

    async def a_run_test(self, **said: Any) -> pb.RunTest:
        made: pb.RunTest = await self.run_tests.CreateRunTest(await self.a_request(**said), metadata=self.metadata)
        return made

    async def run_test_as_it_is(self, run_test_id: str) -> pb.RunTest:
        request = pb.GetRunTestRequest(run_test_id=run_test_id)
        made: pb.RunTest = await self.run_tests.GetRunTest(request, metadata=self.metadata)
        return made

    async def update(self, run_test_id: str, **said: Any) -> pb.RunTest:
        request = pb.UpdateRunTestRequest(run_test_id=run_test_id, **said)
        made: pb.RunTest = await self.run_tests.UpdateRunTest(request, metadata=self.metadata)
        return made

    async def opened(self, run_test_id: str, **said: Any) -> tuple[subjects_pb2.Subject, list[Any]]:
        """What the runner is told of a run test: the subject and its cases."""
        request = subjects_pb2.OpenSubjectRequest(family="run_test", subject_id=run_test_id, **said)
        parts = [part async for part in self.subjects.OpenSubject(request, metadata=self.house.as_service(self.caller))]
        assert [part.WhichOneof("part") for part in parts] == ["subject", *["cases"] * (len(parts) - 1)]
        return parts[0].subject, [case for part in parts[1:] for case in part.cases.cases]


def template_id(name: str) -> str:
    return TEMPLATES[name].id
