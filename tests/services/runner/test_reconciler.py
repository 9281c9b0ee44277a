"""What was forgotten is pushed on."""

import asyncio

import pytest

from services.runner import reconciler as reconciling, rounds
from services.runner.entities import Run
from services.runner.operations import execution
from services.runner.operations.completion import Completion
from services.runner.operations.runs import cancel_run
from services.runner.reconciler import Reconciler
from shared.postgres import Database
from tests.services.runner.house import (
    LEASE,
    OURS,
    Asked,
    a_run,
    answered,
    claim,
    expire_tickets,
    inserted,
    rows,
    running,
    said,
    state,
    tickets_out,
)
from tests.shared.waiting import until


@pytest.fixture
def completion(database: Database) -> Completion:
    return Completion(database)


@pytest.fixture
def reconciler(database: Database, asked: Asked, completion: Completion) -> Reconciler:
    return Reconciler(database, asked.catalog, completion, LEASE)


async def _all_scored(database: Database, run: Run) -> None:
    async with database.transaction() as connection:
        await connection.execute("UPDATE run_cases SET state = 'scored', outcome = 'passed' WHERE run_id = $1", run.id)


async def test_a_run_that_stayed_silent_is_frozen(database: Database, asked: Asked, reconciler: Reconciler) -> None:
    run = await inserted(database, a_run(10))
    fresh = await inserted(database, a_run(10))
    async with database.transaction() as connection:
        await connection.execute("UPDATE runs SET touched_at = now() WHERE id = $1", fresh.id)
    await reconciler.freezes()

    async def frozen() -> bool:
        return await state(database, run) == "running"

    await until(frozen)
    assert (await state(database, fresh), asked.neighbours.streamed) == ("pending", 1)
    await reconciler.close()


async def test_a_catalog_that_hangs_holds_up_nothing_else(database: Database, asked: Asked, reconciler: Reconciler) -> None:
    hanging = asyncio.Event()

    async def hang() -> None:
        await hanging.wait()

    asked.neighbours.streaming = hang
    for _ in range(12):
        await inserted(database, a_run(10))
    await asyncio.wait_for(reconciler.freezes(), 10)
    await until(lambda: asked.neighbours.streamed >= reconciling.FREEZES_AT_ONCE)
    await asyncio.sleep(0.3)  # for one too many
    await asyncio.wait_for(reconciler.freezes(), 10)
    assert asked.neighbours.streamed == reconciling.FREEZES_AT_ONCE
    assert len(reconciler._freezing) == 12
    await asyncio.wait_for(reconciler.runs(), 10)  # connections are left for others
    hanging.set()

    async def all_frozen() -> bool:
        return {row["state"] for row in await rows(database, "SELECT state FROM runs")} == {"running"}

    await until(all_frozen)
    assert asked.neighbours.streamed == 12
    await reconciler.close()


async def test_a_new_run_is_frozen_at_once(database: Database, reconciler: Reconciler) -> None:
    run = await inserted(database, a_run(10))
    reconciler.freeze_soon(run.id)
    reconciler.freeze_soon(run.id)

    async def frozen() -> bool:
        return await state(database, run) == "running" and not reconciler._freezing

    await until(frozen)


async def test_a_run_whose_completion_was_forgotten_is_completed(database: Database, reconciler: Reconciler) -> None:
    run = await running(database, 3)
    await _all_scored(database, run)
    await asyncio.gather(reconciler.runs(), reconciler.runs())
    assert await state(database, run) == "completed"
    assert len(await said(database, "runner.run_finished")) == 1


async def test_a_cancel_that_was_begun_goes_on(database: Database, reconciler: Reconciler) -> None:
    run = await running(database, 8)
    await cancel_run(database, OURS, run.id)
    await reconciler.runs()
    assert (await state(database, run), await tickets_out(database, run)) == ("cancelled", [])


async def test_a_window_that_a_dead_worker_left_empty_is_filled(database: Database, reconciler: Reconciler) -> None:
    run = await running(database, 3)
    async with database.transaction() as connection:
        await connection.execute("UPDATE runs SET next_ord = 0; DELETE FROM tickets")
    await reconciler.runs()
    assert await tickets_out(database, run) == [(0, 2, 1)]


async def test_a_run_in_trouble_holds_up_no_other(database: Database, reconciler: Reconciler) -> None:
    troubled, fine = await running(database, 2), await running(database, 2)
    await _all_scored(database, troubled)
    await _all_scored(database, fine)
    async with database.transaction() as connection:  # its end can't be written
        await connection.execute(f"ALTER TABLE runs ADD CONSTRAINT trouble CHECK (state <> 'completed' OR id <> '{troubled.id}')")
    try:
        await reconciler.runs()
        assert (await state(database, troubled), await state(database, fine)) == ("running", "completed")
    finally:
        async with database.transaction() as connection:
            await connection.execute("ALTER TABLE runs DROP CONSTRAINT trouble")
    await reconciler.runs()
    assert await state(database, troubled) == "completed"


async def test_overdue_tickets_are_issued_again_and_done_ones_finished(database: Database, reconciler: Reconciler) -> None:
    run = await running(database, 200)
    await execution.record(database, run, answered(await claim(database, run, 0, 63)))
    await expire_tickets(database)
    await reconciler.tickets()
    assert await tickets_out(database, run) == [(64, 127, 2), (128, 191, 2), (192, 199, 2)]


async def test_it_looks_until_it_is_cancelled_whatever_fails(
    database: Database, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "EVERY_SECONDS", 0.02)
    async with database.transaction() as connection:
        await connection.execute("ALTER TABLE tickets RENAME TO elsewhere")
    looking = asyncio.create_task(reconciler.run())
    await asyncio.sleep(0.3)
    async with database.transaction() as connection:
        await connection.execute("ALTER TABLE elsewhere RENAME TO tickets")
    run = await running(database, 2)
    await _all_scored(database, run)

    async def completed() -> bool:
        return await state(database, run) == "completed"

    await until(completed)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert looking.cancelled()
