"""A cancel answers once it is committed; what is unexecuted is closed afterwards, by itself."""

import asyncio

import pytest

from services.runner.__main__ import cancelling
from services.runner.operations import runs as operations
from services.runner.operations.closing import Closing
from services.runner.operations.completion import Completion
from services.runner.operations.runs import cancel_run, close_unexecuted
from services.runner.store import cases
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
    assert await close_unexecuted(database, run.id) == 6
    assert (await states(database, run)).count("cancelled") == 6
    cancelled = cancelling(database, Broker(AWAY, "runner"), Completion(database))
    await cancelled(run.id)

    async def closed() -> bool:
        return await state(database, run) == "cancelled"

    await until(closed)
    assert set(await states(database, run)) == {"cancelled"}


async def test_what_is_closed_is_not_looked_at_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "CANCEL_SLICE", 2)
    monkeypatch.setattr(operations, "SLICES_AT_ONCE", 3)
    run = await running(database, 20)
    await cancel_run(database, OURS, run.id)
    closing = Closing(database, Completion(database))

    async def half_closed() -> bool:
        return await states(database, run) == ["cancelled"] * 12 + ["queued"] * 8

    async with database.transaction() as holding:
        await holding.execute("SELECT FROM run_cases WHERE ord = 13 FOR UPDATE")
        closing.begin(run.id)
        await until(half_closed)
        async with database.transaction() as connection:
            await connection.execute("UPDATE run_cases SET state = 'queued' WHERE ord = 0")  # as nothing of ours ever does
    async with asyncio.timeout(10):
        await asyncio.gather(*closing._going_on)
    assert await states(database, run) == ["queued"] + ["cancelled"] * 19


async def test_executed_cases_between_unexecuted_ones_are_stepped_over(database: Database) -> None:
    run = await running(database, 30)
    await cancel_run(database, OURS, run.id)
    async with database.transaction() as connection:
        await connection.execute("UPDATE run_cases SET state = 'executed' WHERE ord < 5 OR ord BETWEEN 8 AND 19")
        found = [0]
        while (following := await cases.cancel_slice(connection, run.id, found[-1], 4)) is not None:
            found.append(following)
    assert found == [0, 9, 24, 28, 32]
    assert await states(database, run) == ["executed"] * 5 + ["cancelled"] * 3 + ["executed"] * 12 + ["cancelled"] * 10
