"""Fixtures of the runner's tests."""

from collections.abc import AsyncIterator

import pytest

from services.runner import calls, execution, worker
from shared.postgres import Database, open_pool
from tests.servers import NatsProcess, PostgresServer
from tests.services.runner import shop as shops
from tests.services.runner.house import TABLES, Asked, neighbourhood


@pytest.fixture(scope="session")
def runner_url(postgres: PostgresServer) -> str:
    """The runner's database of this session."""
    return postgres.create(["runner"])["runner"]


@pytest.fixture
async def database(runner_url: str) -> AsyncIterator[Database]:
    """It, empty, and opened as the runner does it."""
    opened = Database(await open_pool(runner_url, 16))
    async with opened.transaction() as connection:
        await connection.execute(f"TRUNCATE {TABLES}")
    yield opened
    await opened.close()


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    """Catalog and reporting, stood in for."""
    async with neighbourhood() as found:
        yield found


@pytest.fixture
async def shop(
    database: Database, runner_url: str, nats_server: NatsProcess, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[shops.Shop]:
    """Where workers work."""
    monkeypatch.setattr(calls, "BACK_OFF_SECONDS", 0.05)
    monkeypatch.setattr(execution, "LEASED_NAK_SECONDS", 0.4)
    monkeypatch.setattr(worker, "FETCH_SECONDS", 0.4)  # which every worker that ends waits out
    async with shops.opened(database, runner_url, nats_server, asked) as opened:
        yield opened
