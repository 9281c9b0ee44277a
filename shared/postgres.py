"""Postgres: the pool, transactions, and which failures may be tried again."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, TypeVar

import asyncpg
import orjson

from shared import observe
from shared.errors import Unavailable

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]"
T = TypeVar("T")

ACQUIRE_TIMEOUT = 5.0
STATEMENT_TIMEOUT = "30s"
LOCK_TIMEOUT = "10s"
# What a lost, restarting or overloaded server looks like from here.
OUTAGES = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg calls a connection whose server said goodbye, until it has hung up too
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
)
CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

log = logging.getLogger(__name__)


class Database:
    """A pool and what is to happen after each commit.

    `committed` is called after every transaction that commits: the relay looks for new outbox rows then.
    """

    def __init__(self, pool: asyncpg.Pool, committed: Callable[[], None] = lambda: None) -> None:
        self._pool = pool
        self.committed = committed
        observe.POOL_CONNECTIONS.labels("used").set_function(lambda: pool.get_size() - pool.get_idle_size())
        observe.POOL_CONNECTIONS.labels("idle").set_function(pool.get_idle_size)
        observe.POOL_CONNECTIONS.labels("room").set_function(lambda: pool.get_max_size() - pool.get_size())

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for reads. Raises Unavailable if none is free within 5 s: the pool is never the queue."""
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT)
        except OUTAGES as outage:
            raise Unavailable("the database can't be reached right now") from outage
        try:
            yield connection
        finally:
            await self._release(connection)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction; rolled back if the body raises."""
        async with self.connection() as connection, connection.transaction():
            yield connection
        self.committed()

    async def _release(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        # A connection that died under us can't be released politely; the pool replaces it.
        with contextlib.suppress(*OUTAGES):
            await self._pool.release(connection, timeout=ACQUIRE_TIMEOUT)

    async def close(self) -> None:
        """Closes the pool, without waiting for long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._pool.close(), 5)


async def open_pool(url: str, size: int = 10) -> asyncpg.Pool:
    """A pool for this URL, waiting for as long as Postgres is away: a service doesn't crash because of a neighbour."""
    delay = 0.1
    while True:
        try:
            return await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=size,
                timeout=5,
                command_timeout=40,
                max_inactive_connection_lifetime=120,
                init=_prepare,
                reset=_keep,
                server_settings={"statement_timeout": STATEMENT_TIMEOUT, "lock_timeout": LOCK_TIMEOUT, "jit": "off"},
            )
        except OUTAGES as outage:
            log.warning("waiting for postgres", extra={"fault": repr(outage)})
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)


async def _keep(_connection: Connection) -> None:
    """Instead of asyncpg's RESET ALL and its like, a round trip for every use: nothing of ours outlives its transaction, and
    a transaction that outlived its task was ended before this is called.
    """


async def _prepare(connection: Connection) -> None:
    # Binary, since COPY knows no other; its first byte is the format's version.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda raw: orjson.loads(raw[1:]),
        format="binary",
    )


async def until_migrated(database: Database, version: str) -> None:
    """Returns once the service's schema is at least at this migration; services wait for it rather than crash."""
    while True:
        try:
            async with database.connection() as connection:
                if await connection.fetchval("SELECT max(version) >= $1 FROM schema_migrations", version):
                    return
        except (Unavailable, asyncpg.UndefinedTableError, *OUTAGES):
            pass
        log.warning("waiting for the schema", extra={"version": version})
        await asyncio.sleep(0.5)


async def retrying(attempt: Callable[[], Awaitable[T]], tries: int = 5) -> T:
    """Runs a whole transaction again when Postgres broke it for another's sake (40P01, 40001)."""
    for number in range(1, tries):
        try:
            return await attempt()
        except CONFLICTS:
            await asyncio.sleep(0.01 * 2**number)
    return await attempt()
