"""Idempotency-Key on every create of one JSON body."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from assay.catalog.v1 import connections_pb2, contexts_pb2, test_cases_pb2, test_sets_pb2
from tests.services.catalog.house import House, http_code, invalid, refused

Create = tuple[Any, Callable[[str], Any], str]


async def creates(house: House) -> dict[str, Create]:
    """Of each resource: the call, a request by name, and the table."""
    connection, made = (await house.a_connection()).id, await house.a_set()
    builtin = connections_pb2.Connection.builtin
    return {
        "connection": (
            house.connections.CreateConnection,
            lambda name: connections_pb2.CreateConnectionRequest(name=name, kind=builtin, model="echo"),
            "connections",
        ),
        "context": (
            house.contexts.CreateContext,
            lambda name: contexts_pb2.CreateContextRequest(name=name, connection_id=connection),
            "contexts",
        ),
        "test set": (
            house.sets.CreateTestSet,
            lambda name: test_sets_pb2.CreateTestSetRequest(name=name, context_id=made.context_id),
            "test_sets",
        ),
        "test case": (
            house.cases.CreateTestCase,
            lambda name: test_cases_pb2.CreateTestCaseRequest(test_set_id=made.id, question=name, expected_response="e"),
            "test_cases",
        ),
    }


async def rows(house: House, table: str) -> int:
    async with house.database.connection() as sql:
        count: int = await sql.fetchval(f"SELECT count(*) FROM {table} WHERE workspace_id = $1", house.us.workspace)
        return count


@pytest.mark.parametrize("resource", ["connection", "context", "test set", "test case"])
async def test_one_key_creates_once(house: House, resource: str) -> None:
    call, request, table = (await creates(house))[resource]
    before = await rows(house, table)
    first = await call(request("a"), metadata=house.us.with_key("k"))
    again = await asyncio.gather(*(call(request("a"), metadata=house.us.with_key("k")) for _ in range(3)))
    assert all(answer == first for answer in again)
    assert await rows(house, table) == before + 1
    assert await http_code(call(request("a"), metadata=house.us.with_key("k"))) == "201"
    with refused(grpc.StatusCode.ABORTED, "this Idempotency-Key was used with another body"):
        await call(request("b"), metadata=house.us.with_key("k"))
    assert await call(request("b"), metadata=house.us.with_key("k2")) != first
    assert await call(request("a"), metadata=house.us.metadata) != first


async def test_the_second_of_two_at_once_waits_for_the_first(house: House) -> None:
    call, request, table = (await creates(house))["test case"]
    before = await rows(house, table)
    answers = await asyncio.gather(*(call(request("a"), metadata=house.us.with_key("at once")) for _ in range(6)))
    assert len({answer.id for answer in answers}) == 1
    assert await rows(house, table) == before + 1


async def test_a_failure_frees_the_key(house: House) -> None:
    call, request, _ = (await creates(house))["connection"]
    with invalid("name"):
        await call(request(""), metadata=house.us.with_key("f"))
    assert (await call(request("a"), metadata=house.us.with_key("f"))).name == "a"


async def test_a_key_belongs_to_a_workspace_and_an_operation(house: House) -> None:
    calls = await creates(house)
    connect, request, _ = calls["connection"]
    ours = await connect(request("a"), metadata=house.us.with_key("shared"))
    theirs = await connect(request("b"), metadata=house.them.with_key("shared"))
    context, of_context, _ = calls["context"]
    assert len({ours.id, theirs.id, (await context(of_context("c"), metadata=house.us.with_key("shared"))).id}) == 3


async def test_a_key_has_at_most_255_characters(house: House) -> None:
    call, request, _ = (await creates(house))["connection"]
    with invalid("Idempotency-Key"):
        await call(request("a"), metadata=house.us.with_key("k" * 256))
