"""A run's own copy of the cases of one revision."""

import asyncio

import pytest

from services.runner.operations import freezing
from services.runner.operations.completion import Completion
from services.runner.operations.runs import cancel_run, close_unexecuted, delete_run
from shared.errors import DomainError, NotFound, Unavailable
from shared.postgres import Database
from tests.services.runner.house import NOW, OURS, Asked, a_case, a_run, inserted, rows, said, state, tickets_out

FINISHED = "runner.run_finished"


@pytest.mark.parametrize(("count", "batch", "repeats"), [(1, 4, 1), (10, 4, 1), (8, 4, 3), (7, 100, 2), (1200, 500, 2)])
async def test_every_repeat_has_every_case_under_dense_numbers(
    database: Database, asked: Asked, count: int, batch: int, repeats: int
) -> None:
    asked.neighbours.cases, asked.neighbours.batch = [a_case(number) for number in range(count)], batch
    run = await inserted(database, a_run(count, repeats))
    await freezing.freeze(database, asked.catalog, run.id)
    assert await state(database, run) == "running"
    found = await rows(database, "SELECT ord, repeat, question, keywords, state FROM run_cases WHERE run_id = $1 ORDER BY ord", run.id)
    assert [tuple(row) for row in found] == [
        ((repeat - 1) * count + place, repeat, f"question {place}", ["k"], "queued")
        for repeat in range(1, repeats + 1)
        for place in range(count)
    ]
    assert await tickets_out(database, run)


async def test_a_run_frozen_twice_at_once_is_frozen_once(database: Database, asked: Asked) -> None:
    run = await inserted(database, a_run(10))
    await asyncio.gather(*(freezing.freeze(database, asked.catalog, run.id) for _ in range(5)))
    assert (await rows(database, "SELECT count(*) FROM run_cases"))[0][0] == 10
    assert await state(database, run) == "running"
    await freezing.freeze(database, asked.catalog, run.id)
    assert (await rows(database, "SELECT count(*) FROM run_cases"))[0][0] == 10


@pytest.mark.parametrize("count", [9, 11, 0])
async def test_another_number_of_cases_than_was_accepted_is_refused(database: Database, asked: Asked, count: int) -> None:
    run = await inserted(database, a_run(10))
    asked.neighbours.cases = [a_case(number) for number in range(count)]
    for attempt in range(5):
        assert await state(database, run) == ("starting" if attempt else "pending")
        await freezing.freeze(database, asked.catalog, run.id)
    assert await state(database, run) == "error"
    [finished] = await said(database, FINISHED)
    assert finished.run.reason == f"the test cases could not be read: the test set had {count} cases instead of 10"
    assert (finished.run.state, finished.expected_results, finished.run.HasField("completed_at")) == ("error", 0, True)
    assert await rows(database, "SELECT 1 FROM run_cases") == []


async def test_five_refusals_end_the_run_once(database: Database, asked: Asked) -> None:
    asked.neighbours.refusal = NotFound("test set")
    run = await inserted(database, a_run(10))
    for _ in range(8):
        await freezing.freeze(database, asked.catalog, run.id)
    assert (await state(database, run), asked.neighbours.streamed) == ("error", 5)
    assert len(await said(database, FINISHED)) == 1


async def test_a_refusal_that_passes_leaves_no_trace(database: Database, asked: Asked) -> None:
    asked.neighbours.refusal = DomainError("disk on fire")
    run = await inserted(database, a_run(10))
    await freezing.freeze(database, asked.catalog, run.id)
    asked.neighbours.refusal = None
    await freezing.freeze(database, asked.catalog, run.id)
    assert await state(database, run) == "running"
    assert (await rows(database, "SELECT count(*) FROM run_cases"))[0][0] == 10


async def test_a_catalog_that_is_away_is_no_refusal(database: Database, asked: Asked) -> None:
    asked.neighbours.refusal = Unavailable("away")
    run = await inserted(database, a_run(10))
    for _ in range(7):
        await freezing.freeze(database, asked.catalog, run.id)
    assert await state(database, run) == "starting"
    asked.neighbours.refusal = None
    await freezing.freeze(database, asked.catalog, run.id)
    assert await state(database, run) == "running"


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_run_cancelled_or_deleted_while_it_is_frozen_stays_so(database: Database, asked: Asked, deleted: bool) -> None:  # noqa: FBT001 a column of a table
    run = await inserted(database, a_run(10))

    async def interrupt() -> None:
        if deleted:
            await delete_run(database, OURS, run.id, NOW)
        else:
            await cancel_run(database, OURS, run.id)
            await close_unexecuted(database, run.id)
            assert await Completion(database).complete(run.id)

    asked.neighbours.streaming = interrupt
    await freezing.freeze(database, asked.catalog, run.id)
    assert await rows(database, "SELECT 1 FROM run_cases") == []
    assert await tickets_out(database, run) == []
    if not deleted:
        assert await state(database, run) == "cancelled"
        assert [event.run.state for event in await said(database, FINISHED)] == ["cancelled"]


async def test_a_freeze_that_dies_is_begun_again(database: Database, asked: Asked) -> None:
    asked.neighbours.cases, asked.neighbours.batch = [a_case(number) for number in range(300)], 1
    run = await inserted(database, a_run(300))
    freeze = asyncio.create_task(freezing.freeze(database, asked.catalog, run.id))
    while not asked.neighbours.streamed:  # noqa: ASYNC110 the neighbour has no event
        await asyncio.sleep(0.01)
    freeze.cancel()
    await asyncio.gather(freeze, return_exceptions=True)
    assert await rows(database, "SELECT 1 FROM run_cases") == []
    await freezing.freeze(database, asked.catalog, run.id)
    assert (await rows(database, "SELECT count(*) FROM run_cases"))[0][0] == 300
