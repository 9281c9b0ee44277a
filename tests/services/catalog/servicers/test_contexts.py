"""assay.catalog.v1.ContextService."""

from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from assay.catalog.v1 import connections_pb2, contexts_pb2 as pb
from shared.ids import new_id
from tests.services.catalog.house import House, http_code, invalid, not_found, refused

PARAMETERS = {"temperature": 0.5, "stop": ["a", None, {"b": True}], "n": 3}


async def update(house: House, context_id: str, **said: Any) -> pb.Context:
    request = pb.UpdateContextRequest(context_id=context_id, **said)
    answer: pb.Context = await house.contexts.UpdateContext(request, metadata=house.us.metadata)
    return answer


def a_struct(values: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made


async def test_a_context_is_made_and_read(house: House) -> None:
    made = await house.a_context(name="p", statement="Be brief.", parameters=PARAMETERS)
    assert (made.name, made.statement, made.HasField("model")) == ("p", "Be brief.", False)
    assert made.parameters == a_struct(PARAMETERS)
    assert await house.contexts.GetContext(pb.GetContextRequest(context_id=made.id), metadata=house.us.metadata) == made


async def test_what_is_not_said_is_absent_or_empty(house: House) -> None:
    made = await house.a_context()
    assert (made.statement, made.HasField("model"), made.HasField("parameters")) == ("", False, False)


async def test_a_create_answers_201_and_a_delete_204(house: House) -> None:
    request = pb.CreateContextRequest(name="p", connection_id=(await house.a_connection()).id)
    assert await http_code(house.contexts.CreateContext(request, metadata=house.us.metadata)) == "201"
    made = await house.a_context()
    delete = pb.DeleteContextRequest(context_id=made.id)
    assert await http_code(house.contexts.DeleteContext(delete, metadata=house.us.metadata)) == "204"
    with not_found("context"):
        await house.contexts.GetContext(pb.GetContextRequest(context_id=made.id), metadata=house.us.metadata)


@pytest.mark.parametrize(("connection_id", "fault"), [("", "connection_id: is required"), ("none", "connection_id: must be a UUID")])
async def test_a_malformed_connection_is_wrong(house: House, connection_id: str, fault: str) -> None:
    with invalid(fault):
        await house.a_context(connection_id=connection_id)
    if connection_id:
        with invalid(fault):
            await update(house, (await house.a_context()).id, connection_id=connection_id)


async def test_a_malformed_connection_hides_no_wrong_name(house: House) -> None:
    with invalid("name: must not be empty; connection_id: must be a UUID"):
        await house.a_context(name="", connection_id="none")


async def test_an_unknown_connection_is_not_found(house: House) -> None:
    theirs = (await house.a_connection(house.them)).id
    made = await house.a_context()
    for unknown in (str(new_id()), theirs):
        with not_found("connection"):
            await house.a_context(connection_id=unknown)
        with not_found("connection"):
            await update(house, made.id, connection_id=unknown)


async def test_a_builtin_has_only_its_own_models(house: House) -> None:
    assert (await house.a_context(model="answerer-good")).model == "answerer-good"
    with invalid("model: must be one of echo, answerer-good, answerer-basic"):
        await house.a_context(model="gpt")


async def test_a_new_connection_must_have_the_model(house: House) -> None:
    openai = await house.a_connection(kind="openai", base_url="https://llm.test/v1")
    made = await house.a_context(connection_id=openai.id, model="gpt")
    with invalid("model"):
        await update(house, made.id, connection_id=(await house.a_connection()).id)


async def test_an_update_leaves_what_it_does_not_name(house: House) -> None:
    made = await house.a_context(statement="a", model="echo", parameters=PARAMETERS)
    changed = await update(house, made.id, name="other")
    assert (changed.name, changed.statement, changed.model, changed.parameters) == ("other", "a", "echo", made.parameters)


async def test_an_update_empties(house: House) -> None:
    made = await house.a_context(statement="a", model="echo", parameters=PARAMETERS)
    changed = await update(house, made.id, statement="", model="", parameters=Struct())
    assert (changed.statement, changed.HasField("model"), dict(changed.parameters)) == ("", False, {})


async def test_a_context_in_use_is_kept(house: House) -> None:
    made = await house.a_set()
    with refused(grpc.StatusCode.ABORTED, "the context is used by 1 test set"):
        await house.contexts.DeleteContext(pb.DeleteContextRequest(context_id=made.context_id), metadata=house.us.metadata)


async def test_a_connection_is_free_once_its_contexts_are_gone(house: House) -> None:
    made = await house.a_context()
    await house.contexts.DeleteContext(pb.DeleteContextRequest(context_id=made.id), metadata=house.us.metadata)
    delete = connections_pb2.DeleteConnectionRequest(connection_id=made.connection_id)
    await house.connections.DeleteConnection(delete, metadata=house.us.metadata)


async def test_a_list_is_paged_oldest_first(house: House) -> None:
    made = [(await house.a_context(name=name)).id for name in "cab"]
    answer = await house.contexts.ListContexts(pb.ListContextsRequest(page_size=2), metadata=house.us.metadata)
    assert ([item.id for item in answer.items], answer.total, answer.total_pages) == (made[:2], 3, 2)


@pytest.mark.parametrize("name", ["", "n" * 256])
async def test_a_name_has_1_to_255_characters(house: House, name: str) -> None:
    with invalid("name"):
        await house.a_context(name=name)
    with invalid("name"):
        await update(house, (await house.a_context()).id, name=name)
