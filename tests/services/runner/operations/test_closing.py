"""A cancel answers once it is committed; what is unexecuted is closed afterwards, by itself."""

import asyncio

import pytest

from services.runner.__main__ import cancelling
from services.runner.operations import runs as operations
from services.runner.operations.completion import Completion
from services.runner.operations.runs import cancel_run, close_unexecuted
from shared.jetstream import Broker
from shared.postgres import Database
from tests.services.runner.house import OURS, running, state, states, tickets_out
from tests.shared.waiting import until

AWAY = "nats://127.0.0.1:1"


async def test_nobody_waits_for_what_a_cancel_leaves_to_be_closed(database: Database) -> None:
    run = await running(database, 20)
    cancelled = cancelling(database, Broker(AWAY, "runner"), Completion(database))
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM run_cases FOR UPDATE")  # for as long as a million cases take
        await cancel_run(database, OURS, run.id)
        async with asyncio.timeout(5):
            await cancelled(run.id)
        assert await state(database, run) == "cancelling"

    async def closed() -> bool:
        return await state(database, run) == "cancelled"

    await until(closed)
    assert (set(await states(database, run)), await tickets_out(database, run)) == ({"cancelled"}, [])


async def test_a_big_run_is_closed_some_slices_at_a_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "CANCEL_SLICE", 2)
    monkeypatch.setattr(operations, "SLICES_AT_ONCE", 3)
    run = await running(database, 20)
    await cancel_run(database, OURS, run.id)
    assert not await close_unexecuted(database, run.id)
    assert (await states(database, run)).count("cancelled") == 6
    cancelled = cancelling(database, Broker(AWAY, "runner"), Completion(database))
    await cancelled(run.id)

    async def closed() -> bool:
        return await state(database, run) == "cancelled"

    await until(closed)
    assert set(await states(database, run)) == {"cancelled"}
