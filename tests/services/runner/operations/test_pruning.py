"""What goes with time, and what is answered once it is gone."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.runner.chats import Ending
from services.runner.entities import Executed, Run
from services.runner.operations import chats, execution, runs as operations
from services.runner.operations.chats import Asking
from services.runner.operations.completion import Completion
from services.runner.operations.pruning import MOST_RUNS, Keep, Pruning
from services.runner.operations.recording import Recorder
from services.runner.operations.runs import cancel_run, close_unexecuted, delete_run
from services.runner.store import calls
from shared.errors import NotFound, Unavailable, WrongState
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.datasets import an_opened, an_output, begun, whose
from tests.services.runner.house import (
    NOW,
    OURS,
    THEIRS,
    Asked,
    a_run,
    claim,
    execute_and_score,
    inserted,
    rows,
    running,
    said,
    scores,
    state,
    tickets_out,
)

DAY = timedelta(hours=24)


@pytest.fixture
def pruning(database: Database, asked: Asked) -> Pruning:
    return a_pruning(database, asked)


def a_pruning(database: Database, asked: Asked, **keep: Any) -> Pruning:
    return Pruning(database, asked.reporting, Keep(**keep), lambda: NOW)


async def age(database: Database, run: Run, by: timedelta) -> None:
    """Makes a run's end so much older."""
    async with database.transaction() as connection:
        await connection.execute("UPDATE runs SET completed_at = completed_at - $2::interval WHERE id = $1", run.id, by)


async def ended(database: Database, cases: int = 3, by: timedelta = timedelta(hours=25), **said: Any) -> Run:
    """A completed run, so long ago."""
    run = await running(database, cases, **said)
    await execute_and_score(database, run, Completion(database), seq=len(await rows(database, "SELECT FROM inbox")) + 1)
    await age(database, run, by)
    return run


async def prune(pruning: Pruning) -> None:
    """One look, slices of two."""
    await pruning.delete_outlived()
    await pruning.mark_ended()
    while await pruning.remove_slice(2):
        pass


async def with_cases(database: Database) -> set[UUID]:
    """The runs that have some."""
    return {row["run_id"] for row in await rows(database, "SELECT DISTINCT run_id FROM run_cases")}


async def test_cases_go_a_day_after_their_run_ended(database: Database, pruning: Pruning) -> None:
    old, fresh, open_ = await ended(database), await ended(database, by=timedelta(hours=23)), await running(database, 3)
    await prune(pruning)
    assert await with_cases(database) == {fresh.id, open_.id}
    kept = await rows(database, "SELECT id, state, cases_pruned FROM runs ORDER BY id")
    assert [tuple(row) for row in kept] == [(old.id, "completed", True), (fresh.id, "completed", False), (open_.id, "running", False)]
    assert await rows(database, "SELECT FROM removals") == await said(database, "runner.run_deleted") == []


async def test_they_stay_while_their_results_cannot_all_be_read(database: Database, asked: Asked, pruning: Pruning) -> None:
    unread, settled = await ended(database), await ended(database)
    asked.neighbours.unread.add(str(unread.id))
    await prune(pruning)
    assert await with_cases(database) == {unread.id}
    asked.neighbours.unread.clear()
    await prune(pruning)
    assert (await with_cases(database), await state(database, settled)) == (set(), "completed")


async def test_they_stay_while_reporting_is_away(database: Database, asked: Asked, pruning: Pruning) -> None:
    run = await ended(database)
    asked.neighbours.refusal = Unavailable("not now")
    await prune(pruning)
    assert await with_cases(database) == {run.id}


async def test_runs_that_reporting_cannot_close_hold_up_no_others(
    database: Database, asked: Asked, pruning: Pruning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.runner.operations.pruning.LOOKED_AT", 2)
    stuck = [await ended(database, by=timedelta(days=9)) for _ in range(4)]
    last, of_others = await ended(database), await ended(database, workspace_id=THEIRS)
    asked.neighbours.unread |= {str(run.id) for run in stuck}
    for _ in range(3):
        await prune(pruning)
    assert await with_cases(database) == {of_others.id, *(run.id for run in stuck)}
    asked.neighbours.unread.clear()
    for _ in range(3):
        await prune(pruning)
    assert (await with_cases(database), await state(database, last)) == ({of_others.id}, "completed")


async def test_replicas_at_once_remove_everything_once(database: Database, asked: Asked) -> None:
    runs = [await ended(database, 5) for _ in range(6)]
    await asyncio.gather(*(prune(a_pruning(database, asked)) for _ in range(4)))
    await prune(a_pruning(database, asked))  # what the others held when each of them looked
    assert (await with_cases(database), await rows(database, "SELECT FROM removals")) == (set(), [])
    assert len(await rows(database, "SELECT FROM runs WHERE cases_pruned")) == len(runs)


async def test_a_run_that_is_held_waits_for_the_next_look(database: Database, pruning: Pruning) -> None:
    run = await ended(database)
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM runs WHERE id = $1 FOR UPDATE", run.id)
        await asyncio.wait_for(prune(pruning), 5)
    assert await with_cases(database) == {run.id}
    await prune(pruning)
    assert await with_cases(database) == set()


async def test_a_slice_begins_where_the_last_one_ended(database: Database, pruning: Pruning) -> None:
    run = await ended(database, 7)
    await pruning.mark_ended()
    left = []
    while await pruning.remove_slice(3):
        left.append([row["ord"] for row in await rows(database, "SELECT ord FROM run_cases WHERE run_id = $1 ORDER BY ord", run.id)])
    assert left == [[3, 4, 5, 6], [6], [], []]


async def test_a_cancelled_run_is_still_answered_with_its_counts(database: Database, pruning: Pruning) -> None:
    run, completion = await running(database, 4), Completion(database)
    claimed = await claim(database, run, 0, 1)
    await execution.record(database, run, [Executed(claimed[0], "out"), Executed(claimed[1], "out")])
    await cancel_run(database, OURS, run.id)
    await close_unexecuted(database, run.id)
    await completion.hear_scored([scores(run, [0], 1), scores(run, [1], 2, "failed")])
    before = await cancel_run(database, OURS, run.id)
    assert (before[0].state, before[1].passed, before[1].failed, before[1].completed) == ("cancelled", 1, 1, 2)
    await age(database, run, DAY)
    await prune(pruning)
    assert await with_cases(database) == set()
    assert (await cancel_run(database, OURS, run.id))[1] == before[1]


async def test_nothing_is_recorded_in_a_run_without_its_cases(database: Database, pruning: Pruning) -> None:
    run, recorder = await begun(database, an_opened(2)), Recorder(database)
    for ord_ in range(2):
        await recorder.record(whose(run), UUID(int=ord_), an_output())
    await Completion(database).hear_scored([scores(run, range(2), 1)])
    for _ in range(2):
        with pytest.raises(WrongState, match="complete"):
            await recorder.record(whose(run), UUID(int=0), an_output())
        await age(database, run, DAY)
        await prune(pruning)
    assert await with_cases(database) == set()


async def test_a_deleted_run_leaves_nothing_behind(database: Database, pruning: Pruning) -> None:
    kept, run = await running(database, 7), await running(database, 7)
    with pytest.raises(NotFound):
        await delete_run(database, THEIRS, run.id, NOW)
    await delete_run(database, OURS, run.id, NOW)
    [deleted] = await said(database, "runner.run_deleted")
    assert (deleted.run_id, deleted.workspace_id, deleted.deleted_at.ToDatetime().year) == (str(run.id), str(OURS), 2026)
    await prune(pruning)
    assert (await with_cases(database), await tickets_out(database, run)) == ({kept.id}, [])
    assert await rows(database, "SELECT FROM removals") == []
    with pytest.raises(NotFound):
        await delete_run(database, OURS, run.id, NOW)


async def test_a_run_is_deleted_while_its_cases_go(database: Database, pruning: Pruning) -> None:
    run = await ended(database, 7)
    await pruning.mark_ended()
    assert await pruning.remove_slice(2)
    await delete_run(database, OURS, run.id, NOW)
    await prune(pruning)
    assert (await with_cases(database), await rows(database, "SELECT FROM runs")) == (set(), [])


async def test_runs_are_kept_for_ever_unless_said_otherwise(database: Database, pruning: Pruning) -> None:
    await ended(database, by=timedelta(days=4000))
    await prune(pruning)
    assert len(await rows(database, "SELECT FROM runs")) == 1


async def test_runs_go_as_a_whole_once_they_are_kept_no_longer(database: Database, asked: Asked) -> None:
    old, kept = await ended(database, by=timedelta(days=8)), await ended(database, by=timedelta(days=6))
    waiting, open_ = await inserted(database, a_run(3)), await running(database, 3)
    pruning = a_pruning(database, asked, runs=timedelta(days=7))
    await prune(pruning)
    assert {row["id"] for row in await rows(database, "SELECT id FROM runs")} == {kept.id, waiting.id, open_.id}
    assert await with_cases(database) == {open_.id}
    assert [event.run_id for event in await said(database, "runner.run_deleted")] == [str(old.id)]


async def test_replicas_at_once_delete_each_run_once(database: Database, asked: Asked) -> None:
    # As the whole of a backlog they go bit by bit: those that hear of each have rows to remove as well.
    for _ in range(MOST_RUNS + 5):
        run = await inserted(database, a_run(1))
        async with database.transaction() as connection:
            await connection.execute("UPDATE runs SET state = 'error', completed_at = now() - interval '9 days' WHERE id = $1", run.id)
    replicas = [a_pruning(database, asked, runs=timedelta(days=7)) for _ in range(3)]
    await replicas[0].delete_outlived()
    assert len(await rows(database, "SELECT FROM runs")) == 5
    await asyncio.gather(*(replica.delete_outlived() for replica in replicas))
    assert await rows(database, "SELECT FROM runs") == []
    assert len({event.run_id for event in await said(database, "runner.run_deleted")}) == MOST_RUNS + 5


async def test_a_run_that_is_held_holds_up_no_other_deletion(database: Database, asked: Asked) -> None:
    held, free = await ended(database, by=timedelta(days=9)), await ended(database, by=timedelta(days=8))
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM runs WHERE id = $1 FOR UPDATE", held.id)
        await asyncio.wait_for(a_pruning(database, asked, runs=timedelta(days=7)).delete_outlived(), 5)
    assert [event.run_id for event in await said(database, "runner.run_deleted")] == [str(free.id)]


async def test_what_is_said_of_a_deleted_run_is_what_its_owner_would_have_caused(database: Database, asked: Asked) -> None:
    by_owner, outlived = await ended(database), await ended(database, by=timedelta(days=8))
    await operations.delete_run(database, OURS, by_owner.id, NOW)
    await a_pruning(database, asked, runs=timedelta(days=7)).delete_outlived()
    first, second = await said(database, "runner.run_deleted")
    first.run_id = second.run_id
    assert (first, second.run_id) == (second, str(outlived.id))


async def test_old_idempotency_keys_go(database: Database, pruning: Pruning) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO idempotency_keys (workspace_id, operation, key, digest, created_at)
            SELECT $1, 'op', hours::text, '', now() - make_interval(hours => hours) FROM unnest(ARRAY[23, 25]) AS hours
            """,
            new_id(),
        )
    await pruning.forget_keys()
    assert [row["key"] for row in await rows(database, "SELECT key FROM idempotency_keys")] == ["23"]


async def test_a_call_is_answered_once_its_run_was_pruned(database: Database, pruning: Pruning) -> None:
    run = await begun(database, an_opened(3, family="run_test", target_id=""))
    async with database.transaction() as connection:
        await calls.insert(connection, run)
        await connection.execute("""UPDATE calls SET state = 'completed', transcript = '[{"role": "user", "content": "hi"}]'""")
        await connection.execute("UPDATE runs SET state = 'completed', completed_at = now() - interval '25 hours'")
    await prune(pruning)
    found = await rows(database, "SELECT id, transcript FROM calls")
    assert [row["transcript"] for row in found] == [[]] * 3
    asking = Asking(OURS, None, NOW)
    assert (await chats.end(database, found[0]["id"], Ending("failed", "late"), asking)).result.status == "completed"
    assert not (await chats.take(database, run.id, asking)).result.call_execution_ids


@pytest.mark.parametrize(("days", "kept"), [(0.0, None), (-1.0, None), (0.5, timedelta(hours=12))])
def test_runs_are_kept_as_set(days: float, kept: timedelta | None) -> None:
    assert Keep.of(days) == Keep(timedelta(hours=24), kept)
