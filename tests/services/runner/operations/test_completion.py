"""The end of a run: exactly one, once everything in it is final."""

import asyncio

import pytest

from services.runner.entities import Run
from services.runner.operations import execution, runs as operations
from services.runner.operations.completion import Completion
from services.runner.operations.runs import cancel_run, close_unexecuted
from shared.errors import NotFound, WrongState
from shared.postgres import Database
from tests.services.runner.house import (
    NOW,
    OURS,
    THEIRS,
    a_run,
    answered,
    claim,
    execute_and_score,
    inserted,
    rows,
    running,
    said,
    scores,
    state,
    states,
    tickets_out,
)

FINISHED = "runner.run_finished"


async def test_a_run_is_completed_with_its_last_score(database: Database) -> None:
    run, completion = await running(database, 4), Completion(database)
    await execution.record(database, run, answered(await claim(database, run)))
    await completion.hear_scored([scores(run, [3, 0], 1), scores(run, [1], 2, "failed")])
    assert (await state(database, run), await said(database, FINISHED)) == ("running", [])
    await completion.hear_scored([scores(run, [2], 3, "unscored")])
    assert (await state(database, run), await tickets_out(database, run)) == ("completed", [])
    [finished] = await said(database, FINISHED)
    assert (finished.expected_results, finished.passed, finished.failed, finished.errors) == (4, 2, 1, 1)
    assert (finished.run.state, finished.run.HasField("completed_at"), finished.run.total_cases) == ("completed", True, 4)
    # Of which there can be no second, whoever writes it.
    assert [row["key"] for row in await rows(database, "SELECT key FROM outbox WHERE topic = $1", FINISHED)] == [f"finished:{run.id}"]


async def test_completions_at_once_finish_a_run_once(database: Database) -> None:
    run = await running(database, 3)
    await execution.record(database, run, answered(await claim(database, run)))
    await asyncio.gather(*(Completion(database).hear_scored([scores(run, [ord_], ord_ + 1)]) for ord_ in range(3)))
    ended = await asyncio.gather(*(Completion(database).complete(run.id) for _ in range(10)))
    assert sum(ended) <= 1
    assert (await state(database, run), len(await said(database, FINISHED))) == ("completed", 1)


async def test_many_scores_at_once_complete_many_runs_once_each(database: Database) -> None:
    made = [await running(database, 6) for _ in range(5)]
    for run in made:
        await execution.record(database, run, answered(await claim(database, run)))
    completions = [Completion(database), Completion(database)]
    seqs = iter(range(1, 1000))
    hearings = [completions[ord_ % 2].hear_scored([scores(run, [ord_], next(seqs)) for run in made]) for ord_ in range(6)]
    await asyncio.gather(*hearings)
    for run in made:
        await completions[0].complete(run.id)
    assert sorted(event.run.id for event in await said(database, FINISHED)) == sorted(str(run.id) for run in made)


async def test_scores_that_come_again_change_nothing(database: Database) -> None:
    run, completion = await running(database, 2), Completion(database)
    await execution.record(database, run, answered(await claim(database, run)))
    await completion.hear_scored([scores(run, [0], 1)])
    await completion.hear_scored([scores(run, [0, 1], 1, "failed")])  # the same number
    await completion.hear_scored([scores(run, [0], 2, "failed")])  # the same case
    assert [row["outcome"] for row in await rows(database, "SELECT outcome FROM run_cases ORDER BY ord")] == ["passed", None]
    await completion.hear_scored([scores(run, [1], 3)])
    await completion.hear_scored([scores(run, [0, 1], 4, "failed")])
    [finished] = await said(database, FINISHED)
    assert (finished.passed, finished.failed) == (2, 0)


async def test_a_run_with_an_open_case_is_not_completed(database: Database) -> None:
    run, completion = await running(database, 3), Completion(database)
    assert not await completion.complete(run.id)
    await execution.record(database, run, answered(await claim(database, run, 0, 1)))
    await completion.hear_scored([scores(run, [0, 1], 1)])
    assert not await completion.complete(run.id)
    assert await state(database, run) == "running"


@pytest.mark.parametrize("before", ["pending", "starting", "error", "completed", "cancelled"])
async def test_a_run_that_does_not_run_is_not_completed(database: Database, before: str) -> None:
    run = await inserted(database, a_run(state=before))
    assert not await Completion(database).complete(run.id)
    assert (await state(database, run), await said(database, FINISHED)) == (before, [])


async def test_scores_of_a_deleted_run_are_swallowed(database: Database) -> None:
    await Completion(database).hear_scored([scores(a_run(), [0], 1)])
    assert await said(database, FINISHED) == []


async def test_what_was_executed_before_a_cancel_is_still_scored(database: Database) -> None:
    run, completion = await running(database, 5), Completion(database)
    await execution.record(database, run, answered(await claim(database, run, 0, 1)))
    await claim(database, run, 2, 3)
    cancelled, counts = await cancel_run(database, OURS, run.id)
    assert (cancelled.state, counts.completed) == ("cancelling", 0)
    await close_unexecuted(database, run.id)
    assert await states(database, run) == ["executed", "executed", "cancelled", "cancelled", "cancelled"]
    assert not await completion.complete(run.id)
    await completion.hear_scored([scores(run, [0, 1], 1)])
    [finished] = await said(database, FINISHED)
    assert (await state(database, run), finished.run.state, finished.expected_results) == ("cancelled", "cancelled", 2)


async def test_a_cancel_goes_on_in_slices(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "CANCEL_SLICE", 3)
    run = await running(database, 10)
    await cancel_run(database, OURS, run.id)
    await asyncio.gather(close_unexecuted(database, run.id), close_unexecuted(database, run.id))
    assert await states(database, run) == ["cancelled"] * 10
    assert await tickets_out(database, run) == []
    assert await Completion(database).complete(run.id)


async def cancel(database: Database, run: Run) -> None:
    await cancel_run(database, OURS, run.id)
    await close_unexecuted(database, run.id)


async def test_claims_and_a_cancel_at_once_leave_nothing_open(database: Database) -> None:
    for _ in range(5):
        run = await running(database, 12)

        await asyncio.gather(*(claim(database, run, ord_, ord_ + 2) for ord_ in range(10)), cancel(database, run))
        assert set(await states(database, run)) == {"cancelled"}


async def test_closing_cases_of_a_run_that_is_not_being_cancelled_does_nothing(database: Database) -> None:
    run = await running(database, 3)
    await close_unexecuted(database, a_run().id)
    assert await states(database, run) == ["queued"] * 3


async def test_a_run_can_be_cancelled_twice_and_not_once_it_ended(database: Database) -> None:
    run = await running(database, 1)
    for _ in range(2):
        assert (await cancel_run(database, OURS, run.id))[0].state == "cancelling"
    with pytest.raises(NotFound):
        await cancel_run(database, THEIRS, run.id)
    await close_unexecuted(database, run.id)
    await Completion(database).complete(run.id)
    assert (await cancel_run(database, OURS, run.id))[0].state == "cancelled"
    done, completion = await running(database, 1), Completion(database)
    await execute_and_score(database, done, completion, seq=7)
    with pytest.raises(WrongState):
        await cancel_run(database, OURS, done.id)


async def test_the_runs_of_a_deleted_set_go_with_it(database: Database) -> None:
    run, other = await running(database, 2), await running(database, 2)
    await operations.forget_subject(database, THEIRS, run.subject_id, NOW)
    assert len(await rows(database, "SELECT 1 FROM runs")) == 2
    await operations.forget_subject(database, OURS, run.subject_id, NOW)
    await operations.forget_subject(database, OURS, run.subject_id, NOW)
    assert [row["id"] for row in await rows(database, "SELECT id FROM runs")] == [other.id]
    assert len(await said(database, "runner.run_deleted")) == 1
