"""Transactions, outages, and what is tried again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.errors import Unavailable
from shared.postgres import OUTAGES, Database, retrying, until_migrated
from tests.shared.waiting import until


async def test_what_is_to_happen_after_a_commit_happens_after_no_rollback(database: Database) -> None:
    commits = []
    database.committed = lambda: commits.append(1)
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE kept (n int)")
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO kept SELECT 1/0")
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM kept") == 0
    assert commits == [1]


async def test_a_connection_that_died_is_replaced(database: Database) -> None:
    for _ in range(20):
        with pytest.raises((Unavailable, *OUTAGES)):
            async with database.transaction() as connection:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async def answers() -> bool:
        try:
            async with database.connection() as connection:
                return bool(await connection.fetchval("SELECT 1") == 1)
        except OUTAGES:  # the last one has said goodbye, and is about to hang up
            return False

    await until(answers, within=5)


@contextlib.asynccontextmanager
async def hung_up_late(url: str) -> AsyncIterator[str]:
    """The URL of a way to Postgres that passes on what it says, but never that it has hung up."""
    server = urlsplit(url)
    writers: list[asyncio.StreamWriter] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(server.hostname, server.port)
        writers.extend((writer, to_server))
        await asyncio.gather(pass_on(reader, to_server), pass_on(from_server, writer))

    listener = await asyncio.start_server(connect, "127.0.0.1")
    async with listener:
        try:
            yield server._replace(netloc=f"{server.netloc.rpartition(':')[0]}:{listener.sockets[0].getsockname()[1]}").geturl()
        finally:
            for writer in writers:
                writer.close()


async def test_a_server_that_has_said_goodbye_but_not_hung_up_yet_is_an_outage(delivery_url: str, database: Database) -> None:
    async with hung_up_late(delivery_url) as url, contextlib.AsyncExitStack() as stack:
        leaving = await asyncpg.connect(url)
        stack.callback(leaving.terminate)
        async with database.connection() as connection:
            await connection.execute("SELECT pg_terminate_backend($1, 5000)", leaving.get_server_pid())
        await asyncio.sleep(0.1)  # until its last words have come
        with pytest.raises(OUTAGES):
            await leaving.execute("SELECT 1", timeout=1)


async def test_a_body_that_is_cancelled_leaves_no_transaction_open(database: Database) -> None:
    async def sleep() -> None:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE halfway (n int)")
            await connection.execute("SELECT pg_sleep(10)")

    task = asyncio.create_task(sleep())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT to_regclass('halfway')") is None
        assert await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'") == 0


@pytest.mark.filterwarnings("ignore:.*active transaction")
async def test_a_connection_left_in_a_transaction_comes_back_clean(database: Database) -> None:
    for _ in range(3):
        async with database.connection() as connection:
            await connection.execute("BEGIN; CREATE TABLE left_open (n int)")
    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT to_regclass('left_open')") is None


async def test_a_body_cancelled_again_while_it_rolls_back_spoils_no_connection(database: Database) -> None:
    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_sleep(10)")

    for _ in range(15):
        task = asyncio.create_task(work())
        await asyncio.sleep(0.02)
        for _ in range(4):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(task, return_exceptions=True)
    for _ in range(15):
        async with database.transaction() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_pool_without_a_free_connection_is_unavailable(delivery_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await asyncpg.create_pool(delivery_url, min_size=1, max_size=1) as pool:
        narrow = Database(pool)
        async with narrow.connection():
            with monkeypatch.context() as hurried:
                hurried.setattr("shared.postgres.ACQUIRE_TIMEOUT", 0.1)
                with pytest.raises(Unavailable):
                    await narrow.connection().__aenter__()
        async with narrow.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("conflict", [asyncpg.DeadlockDetectedError, asyncpg.SerializationError])
async def test_a_conflict_is_tried_again_and_nothing_else(conflict: type[Exception]) -> None:
    tries = []

    async def attempt() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise conflict
        return len(tries)

    assert await retrying(attempt) == 3
    with pytest.raises(conflict):
        await retrying(lambda: _raising(conflict), tries=2)
    with pytest.raises(ZeroDivisionError):
        await retrying(lambda: _raising(ZeroDivisionError))


async def _raising(error: type[Exception]) -> None:
    raise error


async def test_a_service_waits_for_its_schema(database: Database) -> None:
    waiting = asyncio.create_task(until_migrated(database, "0002"))
    await asyncio.sleep(0.1)
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE schema_migrations (version text); INSERT INTO schema_migrations VALUES ('0001')")
    await asyncio.sleep(0.6)
    assert not waiting.done()
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO schema_migrations VALUES ('0003')")
    await asyncio.wait_for(waiting, 5)
