"""Pruning goes on by itself."""

import asyncio

import pytest

from services.runner import rounds
from services.runner.operations.pruning import Keep, Pruning
from services.runner.operations.runs import delete_run
from services.runner.pruning import prune_for_ever
from shared.postgres import Database
from tests.services.runner.house import NOW, OURS, Asked, rows, running
from tests.shared.waiting import until


async def test_it_looks_until_it_is_cancelled_whatever_fails(database: Database, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "EVERY_SECONDS", 0.02)
    async with database.transaction() as connection:
        await connection.execute("ALTER TABLE removals RENAME TO elsewhere")
    looking = asyncio.create_task(prune_for_ever(Pruning(database, asked.reporting, Keep(), lambda: NOW)))
    await asyncio.sleep(0.3)
    async with database.transaction() as connection:
        await connection.execute("ALTER TABLE elsewhere RENAME TO removals")
    run = await running(database, 5)
    await delete_run(database, OURS, run.id, NOW)

    async def removed() -> bool:
        return not await rows(database, "SELECT FROM run_cases UNION ALL SELECT FROM removals")

    await until(removed)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert looking.cancelled()
