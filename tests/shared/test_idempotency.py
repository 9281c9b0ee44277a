"""The first answer again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from assay.catalog.v1.contexts_pb2 import Context, CreateContextRequest
from shared import idempotency, postgres
from shared.errors import Invalid, KeyInFlight, KeyReused
from shared.idempotency import Effect, Key, answered, key_of, once
from shared.ids import new_id
from shared.postgres import Connection, Database
from tests.shared.waiting import until

OURS, THEIRS = new_id(), new_id()


def a_key(text: str = "k", name: str = "x", workspace: object = OURS) -> Key:
    key = key_of((("idempotency-key", text),), workspace, CreateContextRequest(name=name))  # type: ignore[arg-type]
    assert key is not None
    return key


@pytest.fixture
async def effects(database: Database) -> list[str]:
    """A table that effects write to; the list of those performed in this process, committed or not."""
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE effects (name text)")
    return []


def making(effects: list[str], name: str, *, fails: bool = False, until: asyncio.Event | None = None) -> Effect[Context]:
    async def perform(connection: Connection) -> Context:
        effects.append(name)
        await connection.execute("INSERT INTO effects VALUES ($1)", name)
        if until is not None:
            await until.wait()
        if fails:
            raise Invalid({"name": "is taken"})
        return Context(name=name)

    return Effect(Context, perform)


async def kept(database: Database) -> list[str]:
    async with database.connection() as connection:
        return [row["name"] for row in await connection.fetch("SELECT name FROM effects ORDER BY name")]


async def age(database: Database, interval: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(f"UPDATE idempotency_keys SET created_at = now() - interval '{interval}'")


async def test_the_first_answer_comes_again(database: Database, effects: list[str]) -> None:
    assert [(await once(database, a_key(), making(effects, name))).name for name in ("first", "second")] == ["first", "first"]
    assert await kept(database) == ["first"]
    found = await answered(database, a_key(), Context)
    assert found is not None
    assert found.name == "first"


async def test_without_a_key_everything_is_performed(database: Database, effects: list[str]) -> None:
    for name in ("first", "second"):
        await once(database, None, making(effects, name))
    assert await kept(database) == ["first", "second"]
    assert await answered(database, None, Context) is None


async def test_a_key_with_another_body_is_refused(database: Database, effects: list[str]) -> None:
    await once(database, a_key(), making(effects, "first"))
    with pytest.raises(KeyReused):
        await once(database, a_key(name="y"), making(effects, "second"))
    with pytest.raises(KeyReused):
        await answered(database, a_key(name="y"), Context)
    assert await kept(database) == ["first"]


async def test_keys_of_other_workspaces_and_operations_are_other_keys(database: Database, effects: list[str]) -> None:
    other = key_of((("idempotency-key", "k"),), OURS, Context(name="x"))
    for name, key in (("ours", a_key()), ("theirs", a_key(workspace=THEIRS)), ("other", other)):
        assert (await once(database, key, making(effects, name))).name == name


async def test_a_failure_frees_the_key(database: Database, effects: list[str]) -> None:
    with pytest.raises(Invalid):
        await once(database, a_key(), making(effects, "first", fails=True))
    assert await answered(database, a_key(), Context) is None
    assert (await once(database, a_key(name="corrected"), making(effects, "second"))).name == "second"
    assert await kept(database) == ["second"]


@pytest.mark.parametrize(("fails", "answer"), [(False, "first"), (True, "second")])
async def test_the_second_of_two_at_once_waits_for_the_first(
    database: Database,
    effects: list[str],
    fails: bool,  # noqa: FBT001 a column of a table
    answer: str,
) -> None:
    go = asyncio.Event()
    first = asyncio.create_task(once(database, a_key(), making(effects, "first", fails=fails, until=go)))
    await until(lambda: bool(effects))
    second = asyncio.create_task(once(database, a_key(), making(effects, "second")))
    await asyncio.sleep(0.2)
    assert not second.done()
    assert effects == ["first"]
    go.set()
    assert (await second).name == answer
    await asyncio.gather(first, return_exceptions=True)
    assert await kept(database) == [answer]


async def test_twenty_at_once_have_one_effect(database: Database, effects: list[str]) -> None:
    answers = await asyncio.gather(*(once(database, a_key(), making(effects, f"{number}")) for number in range(20)))
    assert len({answer.name for answer in answers}) == 1
    assert await kept(database) == [answers[0].name]


@contextlib.asynccontextmanager
async def impatient(url: str) -> AsyncIterator[Database]:
    """A database whose statements wait 200 ms for a lock."""
    pool = await asyncpg.create_pool(url, min_size=1, init=postgres._prepare, server_settings={"lock_timeout": "200ms"})
    yield Database(pool)
    await pool.close()


async def test_who_waited_too_long_is_told_so(database: Database, delivery_url: str, effects: list[str]) -> None:
    go = asyncio.Event()
    first = asyncio.create_task(once(database, a_key(), making(effects, "first", until=go)))
    await until(lambda: bool(effects))
    async with impatient(delivery_url) as waiting:
        with pytest.raises(KeyInFlight):
            await once(waiting, a_key(), making(effects, "second"))
    go.set()
    assert (await first).name == "first"


async def test_a_key_is_forgotten_after_a_day(database: Database, effects: list[str]) -> None:
    await once(database, a_key(), making(effects, "first"))
    await age(database, "23 hours 59 minutes")
    assert (await once(database, a_key(), making(effects, "second"))).name == "first"
    await age(database, "24 hours 1 second")
    assert await answered(database, a_key(), Context) is None
    assert (await once(database, a_key(name="y"), making(effects, "third"))).name == "third"
    assert (await once(database, a_key(name="y"), making(effects, "fourth"))).name == "third"


async def test_old_keys_are_trimmed_and_young_ones_kept(database: Database, effects: list[str]) -> None:
    await once(database, a_key("old"), making(effects, "old"))
    await age(database, "25 hours")
    await once(database, a_key("young"), making(effects, "young"))
    async with database.transaction() as connection:
        await idempotency.trim(connection)
        assert await connection.fetchval("SELECT array_agg(key) FROM idempotency_keys") == ["young"]


def test_a_key_is_read_from_the_metadata() -> None:
    request = CreateContextRequest(name="x")
    assert key_of((), OURS, request) is None
    assert key_of((("idempotency-key", ""),), OURS, request) is None
    found = key_of((("other", "x"), ("idempotency-key", b"\xe9")), OURS, request)
    assert found is not None
    assert (found.key, found.operation) == ("é", "assay.catalog.v1.CreateContextRequest")
    with pytest.raises(Invalid, match="255"):
        a_key("x" * 256)


def test_bodies_are_compared_as_they_were_read() -> None:
    one, other = CreateContextRequest(name="x"), CreateContextRequest(name="x")
    one.parameters.update({"a": 1, "b": 2})
    other.parameters.update({"b": 2, "a": 1})
    metadata = (("idempotency-key", "k"),)
    assert key_of(metadata, OURS, one) == key_of(metadata, OURS, other)
    assert key_of(metadata, OURS, one, b"file") != key_of(metadata, OURS, one, b"another")
