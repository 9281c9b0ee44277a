"""A database with the tables of delivery, as every service has them."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from shared import consumer, gaps
from shared.postgres import Database, open_pool
from tests.servers import NatsProcess, PostgresServer
from tests.shared.hop import Hop, hop

# Every service has the same two migrations; see services/*/migrations.
MIGRATIONS = Path(__file__).parents[2] / "services" / "runner" / "migrations"
DELIVERY = [MIGRATIONS / name for name in ("0001_delivery.sql", "0007_restored.sql")]


async def emptied(url: str) -> None:
    """Makes the tables of delivery anew, which is quicker than another database."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            for migration in DELIVERY:
                await connection.execute(migration.read_text().partition("-- migrate:down")[0])
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def our_url(postgres: PostgresServer) -> str:
    """A database for the tests of this folder."""
    return postgres.create([])["assay"]


@pytest.fixture(scope="session")
def their_url(postgres: PostgresServer) -> str:
    """Another one, for the other end of a topic."""
    return postgres.create([])["assay"]


@pytest.fixture
async def delivery_url(our_url: str) -> str:
    """Our database, with empty tables of delivery and nothing else."""
    await emptied(our_url)
    return our_url


@pytest.fixture
async def database(delivery_url: str) -> AsyncIterator[Database]:
    """That database, opened as a service does it."""
    opened = Database(await open_pool(delivery_url))
    yield opened
    await opened.close()


@pytest.fixture
async def ends(our_url: str, their_url: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two databases with empty tables of delivery: the producer's and the consumer's."""
    monkeypatch.setattr(consumer, "FETCH_SECONDS", 0.4)  # which the end of every test that hears waits out
    await emptied(our_url)
    await emptied(their_url)
    return our_url, their_url


@pytest.fixture
async def running(ends: tuple[str, str], nats_server: NatsProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hop]:
    """A hop whose consumer tries again, and looks for gaps, sooner than in earnest."""
    monkeypatch.setattr(gaps, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(consumer, "NAK_SECONDS", 0.2)
    nats_server.wipe()
    async with hop(ends, nats_server.url) as made:
        yield made
