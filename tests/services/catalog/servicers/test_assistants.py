"""assay.catalog.v1.AssistantService."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import ListValue

from assay.catalog.v1 import assistants_pb2 as pb, connections_pb2
from shared.ids import new_id
from shared.json_values import plain, struct
from tests.services.catalog.assistants import Assistants
from tests.services.catalog.house import House, http_code, invalid, not_found, refused
from tests.services.catalog.simulations import Simulations

TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture
def assistants(house: House) -> Assistants:
    return Assistants(house)


def listing(*values: Any) -> ListValue:
    made = ListValue()
    made.extend(values)
    return made


async def versions(assistants: Assistants, assistant_id: str, **page: int) -> pb.ListAssistantVersionsResponse:
    request = pb.ListAssistantVersionsRequest(assistant_id=assistant_id, **page)
    answer: pb.ListAssistantVersionsResponse = await assistants.rpc.ListAssistantVersions(request, metadata=assistants.us)
    return answer


async def promote(assistants: Assistants, assistant_id: str, version_id: str) -> pb.AssistantVersion:
    request = pb.PromoteAssistantVersionRequest(assistant_id=assistant_id, version_id=version_id)
    answer: pb.AssistantVersion = await assistants.rpc.PromoteAssistantVersion(request, metadata=assistants.us)
    return answer


async def test_an_assistant_is_made_and_read(assistants: Assistants) -> None:
    tools = [struct(tool) for tool in TOOLS]
    made = await assistants.made(name="n", description="d", instructions="Be kind.", model="answerer-good", tools=tools)
    assert (made.name, made.description, made.instructions, made.model) == ("n", "d", "Be kind.", "answerer-good")
    assert [plain(tool) for tool in made.tools] == TOOLS
    assert await assistants.read(made.id) == made


async def test_what_is_not_said_is_absent_or_empty(assistants: Assistants) -> None:
    made = await assistants.made()
    assert (made.instructions, made.HasField("model"), made.HasField("description"), list(made.tools)) == ("", False, False, [])


async def test_creates_answer_201_and_a_delete_says_what_is_gone(assistants: Assistants) -> None:
    create = assistants.rpc.CreateAssistant(pb.CreateAssistantRequest(name="n"), metadata=assistants.us)
    assert await http_code(create) == "201"
    made = await create
    version = pb.CreateAssistantVersionRequest(assistant_id=made.id)
    assert await http_code(assistants.rpc.CreateAssistantVersion(version, metadata=assistants.us)) == "201"
    delete = assistants.rpc.DeleteAssistant(pb.DeleteAssistantRequest(assistant_id=made.id), metadata=assistants.us)
    assert await http_code(delete) == ""
    assert await delete == pb.DeleteAssistantResponse(id=made.id, object="assistant", deleted=True)
    with not_found("assistant"):
        await assistants.deleted(made.id)


async def test_the_same_key_answers_the_same(assistants: Assistants) -> None:
    key = assistants.house.us.with_key("k")
    made = [await assistants.rpc.CreateAssistant(pb.CreateAssistantRequest(name="n"), metadata=key) for _ in range(2)]
    assert made[0] == made[1]


async def test_an_update_is_a_new_main_version(assistants: Assistants) -> None:
    made = await assistants.made(instructions="old", model="echo", tools=[struct(TOOLS[0])])
    changed = await assistants.updated(made.id, name="other", instructions="new")
    assert (changed.name, changed.instructions, changed.model, len(changed.tools)) == ("other", "new", "echo", 1)
    assert changed.main_version_id != made.main_version_id
    listed = (await versions(assistants, made.id)).data
    assert [(one.version_id, one.instructions, one.is_main) for one in listed] == [
        (changed.main_version_id, "new", True),
        (made.main_version_id, "old", False),
    ]
    assert await assistants.read(made.id) == changed


async def test_an_update_clears_what_is_said_to_be_empty(assistants: Assistants) -> None:
    made = await assistants.made(description="d", instructions="i", model="echo", tools=[struct(TOOLS[0])])
    changed = await assistants.updated(made.id, description="", instructions="", model="", tools=listing())
    assert (changed.HasField("description"), changed.instructions, changed.HasField("model"), list(changed.tools)) == (False, "", False, [])


async def test_an_update_may_leave_the_main_version(assistants: Assistants) -> None:
    made = await assistants.made(instructions="old")
    changed = await assistants.updated(made.id, instructions="new", promote_to_main=False)
    assert (changed.main_version_id, changed.instructions) == (made.main_version_id, "old")
    assert [one.instructions for one in (await versions(assistants, made.id)).data] == ["new", "old"]


async def test_a_version_waits_to_be_promoted(assistants: Assistants) -> None:
    made = await assistants.made(instructions="old", model="echo")
    version = await assistants.a_version(made.id, instructions="new")
    assert (version.assistant_id, version.instructions, version.model, version.is_main) == (made.id, "new", "echo", False)
    assert (await assistants.read(made.id)).main_version_id == made.main_version_id
    assert (await promote(assistants, made.id, version.version_id)).is_main
    assert (await assistants.read(made.id)).instructions == "new"
    back = await promote(assistants, made.id, made.main_version_id)
    assert ((await assistants.read(made.id)).main_version_id, back.instructions) == (made.main_version_id, "old")


async def test_a_version_is_read_as_it_was_made(assistants: Assistants) -> None:
    made = await assistants.made(instructions="old")
    version = await assistants.a_version(made.id, instructions="new")
    await assistants.updated(made.id, instructions="newest")
    request = pb.GetAssistantVersionRequest(assistant_id=made.id, version_id=version.version_id)
    assert await assistants.rpc.GetAssistantVersion(request, metadata=assistants.us) == version


async def test_a_version_of_another_assistant_is_not_found(assistants: Assistants) -> None:
    made, other = await assistants.made(), await assistants.made()
    for version_id in (other.main_version_id, str(new_id()), "none"):
        with not_found("assistant version"):
            await promote(assistants, made.id, version_id)


async def test_versions_made_at_once_are_all_numbered(assistants: Assistants) -> None:
    made = await assistants.made()
    await asyncio.gather(*(assistants.updated(made.id, instructions=str(n)) for n in range(8)))
    listed = await versions(assistants, made.id)
    assert (listed.meta.total_results, [one.is_main for one in listed.data].count(True)) == (9, 1)
    assert listed.data[0].version_id == (await assistants.read(made.id)).main_version_id


async def test_a_list_is_paged_newest_first(assistants: Assistants) -> None:
    made = [(await assistants.made(name=name)).id for name in "cab"]
    request = pb.ListAssistantsRequest(page_number=2, page_size=2)
    answer = await assistants.rpc.ListAssistants(request, metadata=assistants.us)
    assert [item.id for item in answer.data] == made[:1]
    assert answer.meta == pb.AssistantPageMeta(page_number=2, page_size=2, total_pages=2, total_results=3)


@pytest.mark.parametrize(("page", "fault"), [({"page_number": 0}, "page[number]: "), ({"page_size": 101}, "page[size]: ")])
async def test_a_wrong_page_is_named_as_it_is_sent(assistants: Assistants, page: dict[str, int], fault: str) -> None:
    with invalid(fault):
        await assistants.rpc.ListAssistants(pb.ListAssistantsRequest(**page), metadata=assistants.us)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"connection_id": "none"}, "connection_id: must be a UUID"),
        ({"model": "m" * 256}, "model: must have at most 255"),
    ],
)
async def test_a_wrong_field_is_named(assistants: Assistants, said: dict[str, Any], fault: str) -> None:
    with invalid(fault):
        await assistants.made(**said)
    with invalid(fault):
        await assistants.updated((await assistants.made()).id, **said)


async def test_a_wrong_tool_is_named(assistants: Assistants) -> None:
    with invalid("tools[0]"):
        await assistants.made(tools=[struct({"description": "d"})])
    with invalid("tools[1]"):
        await assistants.updated((await assistants.made()).id, tools=listing(TOOLS[0], "x"))


async def test_an_unknown_connection_is_not_found(assistants: Assistants) -> None:
    made = await assistants.made()
    for unknown in (str(new_id()), (await assistants.house.a_connection(assistants.house.them)).id):
        with not_found("connection"):
            await assistants.made(connection_id=unknown)
        with not_found("connection"):
            await assistants.updated(made.id, connection_id=unknown)


async def test_a_connection_that_is_named_must_have_the_model(assistants: Assistants) -> None:
    connection = await assistants.house.a_connection()
    with invalid("model: must be one of"):
        await assistants.made(connection_id=connection.id, model="gpt-large")
    kept = await assistants.made(model="gpt-large")
    assert kept.model == "gpt-large"
    with invalid("model: must be one of"):
        await assistants.updated(kept.id, connection_id=connection.id)


async def test_whoever_lacks_the_scope_of_another_family_gets_in(assistants: Assistants) -> None:
    made = await assistants.made(assistants.house.plain)
    assert made.id


CALLS: dict[str, Callable[[pb.Assistant], Any]] = {
    "GetAssistant": lambda of: pb.GetAssistantRequest(assistant_id=of.id),
    "UpdateAssistant": lambda of: pb.UpdateAssistantRequest(assistant_id=of.id, name="x"),
    "DeleteAssistant": lambda of: pb.DeleteAssistantRequest(assistant_id=of.id),
    "CreateAssistantVersion": lambda of: pb.CreateAssistantVersionRequest(assistant_id=of.id),
    "ListAssistantVersions": lambda of: pb.ListAssistantVersionsRequest(assistant_id=of.id),
    "GetAssistantVersion": lambda of: pb.GetAssistantVersionRequest(assistant_id=of.id, version_id=of.main_version_id),
    "PromoteAssistantVersion": lambda of: pb.PromoteAssistantVersionRequest(assistant_id=of.id, version_id=of.main_version_id),
}


async def test_another_workspaces_assistant_answers_like_an_unknown_one(assistants: Assistants) -> None:
    theirs = await assistants.made(assistants.house.them)
    unknown = pb.Assistant(id=str(new_id()), main_version_id=str(new_id()))
    malformed = pb.Assistant(id="none", main_version_id="none")
    for name, request in CALLS.items():
        kind = "assistant version" if name == "GetAssistantVersion" else "assistant"
        for of in (theirs, unknown, malformed):
            with not_found(kind):
                await getattr(assistants.rpc, name)(request(of), metadata=assistants.us)
    left = await assistants.rpc.GetAssistant(pb.GetAssistantRequest(assistant_id=theirs.id), metadata=assistants.house.them.metadata)
    assert left == theirs


async def test_an_assistant_is_kept_while_a_run_test_uses_it(assistants: Assistants) -> None:
    agent = await Simulations(assistants.house).a_run_test()
    assert (await assistants.read(agent.agent_definition)).id == agent.agent_definition
    with refused(grpc.StatusCode.ABORTED, "the assistant is used by a run test"):
        await assistants.deleted(agent.agent_definition)


async def test_a_connection_is_kept_while_a_version_is_on_it(assistants: Assistants) -> None:
    connection = await assistants.house.a_connection()
    made = await assistants.made(connection_id=connection.id)
    delete = connections_pb2.DeleteConnectionRequest(connection_id=connection.id)
    with refused(grpc.StatusCode.ABORTED, "the connection is used by 1 assistant version"):
        await assistants.house.connections.DeleteConnection(delete, metadata=assistants.us)
    await assistants.deleted(made.id)
    await assistants.house.connections.DeleteConnection(delete, metadata=assistants.us)
