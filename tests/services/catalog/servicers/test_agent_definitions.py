"""assay.catalog.v1.AgentDefinitionService."""

from typing import Any

import pytest
from google.protobuf.struct_pb2 import ListValue, Value

from assay.catalog.v1 import agent_definitions_pb2 as pb
from shared.ids import new_id
from shared.json_values import plain, struct
from tests.services.catalog.house import House, http_code, invalid, not_found
from tests.services.catalog.simulations import Simulations

TOOL = {"type": "function", "function": {"name": "refund", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def b(house: House) -> Simulations:
    return Simulations(house)


async def versions(b: Simulations, agent_id: str, **said: Any) -> pb.ListAgentVersionsResponse:
    request = pb.ListAgentVersionsRequest(agent_id=agent_id, **said)
    answer: pb.ListAgentVersionsResponse = await b.agents.ListAgentVersions(request, metadata=b.metadata)
    return answer


async def test_an_agent_is_made_with_an_active_version_and_read_back(b: Simulations) -> None:
    connection = await b.house.a_connection()
    made = await b.an_agent(
        agent_name="clerk", connection_id=connection.id, instructions="Help.", tools=[struct(TOOL)], language="de", description="d"
    )
    assert (made.agent_name, made.instructions, made.connection_id, made.language, made.description) == (
        "clerk",
        "Help.",
        connection.id,
        "de",
        "d",
    )
    assert [plain(tool) for tool in made.tools] == [TOOL]
    assert await b.agent_as_it_is(made.id) == made
    [first] = (await versions(b, made.id)).results
    assert (first.id, first.agent_definition, first.version_number, first.is_active) == (made.active_version, made.id, 1, True)


async def test_a_create_answers_201_with_a_message(b: Simulations) -> None:
    request = pb.CreateAgentDefinitionRequest(agent_name="clerk")
    assert await http_code(b.agents.CreateAgentDefinition(request, metadata=b.metadata)) == "201"
    assert (await b.agents.CreateAgentDefinition(request, metadata=b.metadata)).message == "Agent definition created successfully"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"agent_name": ""}, "agentName: must not be empty"),
        ({"connection_id": "none"}, "connectionId: must be a UUID"),
        ({"language": ""}, "language: must not be empty"),
        ({"tools": [struct({"a": 1})]}, "tools[0]: must be an object with"),
    ],
)
async def test_a_wrong_field_is_named(b: Simulations, said: dict[str, Any], fault: str) -> None:
    with invalid(fault):
        await b.an_agent(**said)


async def test_an_unknown_connection_is_not_found(b: Simulations) -> None:
    for unknown in (str(new_id()), (await b.house.a_connection(b.house.them)).id):
        with not_found("connection"):
            await b.an_agent(connection_id=unknown)


async def test_a_version_differs_in_what_is_said_and_waits_to_be_activated(b: Simulations) -> None:
    agent = await b.an_agent(instructions="Help.", tools=[struct(TOOL)])
    second = await b.a_version(agent.id, instructions="Help well.", commit_message="politer")
    assert (second.instructions, second.version_number, second.is_active, second.commit_message) == ("Help well.", 2, False, "politer")
    assert [plain(tool) for tool in second.tools] == [TOOL]
    assert (await b.agent_as_it_is(agent.id)).active_version == agent.active_version
    assert (await b.activate(agent.id, second.id)).is_active
    now = await b.agent_as_it_is(agent.id)
    assert (now.active_version, now.instructions) == (second.id, "Help well.")
    assert [(one.version_number, one.is_active) for one in (await versions(b, agent.id)).results] == [(2, True), (1, False)]


async def test_a_version_may_drop_the_tools(b: Simulations) -> None:
    agent = await b.an_agent(tools=[struct(TOOL)])
    assert not (await b.a_version(agent.id, tools=ListValue())).tools
    with invalid("tools[0]: must be an object"):
        await b.a_version(agent.id, tools=ListValue(values=[Value(string_value="refund")]))


async def test_what_is_unknown_is_not_found(b: Simulations) -> None:
    agent, theirs = await b.an_agent(), await Simulations(b.house, b.house.them).an_agent()
    for unknown in (str(new_id()), theirs.id, "none"):
        with not_found("assistant"):
            await b.agent_as_it_is(unknown)
        with not_found("assistant"):
            await b.a_version(unknown)
        with not_found("assistant"):
            await versions(b, unknown)
    for unknown in (str(new_id()), theirs.active_version, "none"):
        with not_found("assistant version"):
            await b.activate(agent.id, unknown)


async def test_agents_are_listed_newest_first_by_name(b: Simulations) -> None:
    for name in ("clerk", "cook", "judge"):
        await b.an_agent(agent_name=name)
    answer = await b.agents.ListAgentDefinitions(pb.ListAgentDefinitionsRequest(search="C"), metadata=b.metadata)
    assert ([agent.agent_name for agent in answer.results], answer.count) == (["cook", "clerk"], 2)


async def test_versions_are_paged(b: Simulations) -> None:
    agent = await b.an_agent()
    await b.a_version(agent.id)
    page = await versions(b, agent.id, limit=1)
    assert (page.count, page.total_pages) == (2, 2)
    assert str(plain(page.next)).endswith(f"/simulate/agent-definitions/{agent.id}/versions/?page=2&limit=1")
