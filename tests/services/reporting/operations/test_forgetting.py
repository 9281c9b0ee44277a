"""What was deleted is hidden at once, stays hidden, and goes."""

import itertools

import pytest

from services.reporting.operations import forgetting
from services.reporting.store import tombstones
from shared.ids import new_id
from shared.postgres import Database
from tests.services.reporting.builders import Facts, scored
from tests.services.reporting.conftest import Bench

TABLES = {"runs": "id", "results": "run_id", "result_blocks": "run_id", "run_events": "run_id"}


async def rows_of(database: Database, run: Facts) -> dict[str, int]:
    async with database.connection() as connection:
        return {
            table: await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {column} = $1", run.id)
            for table, column in TABLES.items()
        }


@pytest.mark.parametrize("order", list(itertools.permutations(["started", "scored", "finished", "deleted"])))
async def test_a_late_event_never_brings_a_run_back(bench: Bench, order: tuple[str, ...]) -> None:
    run = Facts(total=1)
    # The runner may still answer for it when the results come, or for a moment longer than it should.
    bench.peers.runner.knows(run.state())
    handlers = {
        "started": (bench.projection.runs_started, run.started()),
        "scored": (bench.projection.cases_scored, run.scored(scored(0))),
        "finished": (bench.projection.runs_finished, run.finished()),
        "deleted": (bench.forgetting.runs_deleted, run.deleted()),
    }
    for name in order:
        handle, message = handlers[name]
        await handle(bench.numbers.heard(message))
    assert await bench.events(run) == []
    await bench.forgetting.sweep()
    assert set((await rows_of(bench.database, run)).values()) == {0}


async def test_a_deleted_set_takes_all_its_runs(bench: Bench) -> None:
    first = Facts(total=2)
    second, other = first.but(id=new_id()), first.but(id=new_id(), test_set=new_id())
    for run in (first, second, other):
        await bench.completed(run, scored(0), scored(1))
    await bench.forgetting.subjects_deleted(bench.numbers.heard(first.set_deleted()))
    assert (await bench.events(first), await bench.events(second)) == ([], [])
    await bench.forgetting.sweep()
    assert set((await rows_of(bench.database, second)).values()) == {0}
    assert await rows_of(bench.database, other) == {"runs": 1, "results": 2, "result_blocks": 1, "run_events": 2}


async def test_a_run_of_a_deleted_set_that_comes_late_stays_hidden(bench: Bench) -> None:
    run = Facts(total=1)
    await bench.forgetting.subjects_deleted(bench.numbers.heard(run.set_deleted()))
    await bench.completed(run, scored(0))
    assert await bench.events(run) == []


async def test_many_results_go_in_slices(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "SLICE_BLOCKS", 1)
    monkeypatch.setattr(forgetting, "AT_ONCE", 1)
    run = Facts(total=3)
    await bench.completed(run, scored(0), scored(1500), scored(9_999))
    await bench.forgetting.runs_deleted(bench.numbers.heard(run.deleted()))
    await bench.forgetting.sweep()
    assert set((await rows_of(bench.database, run)).values()) == {0}


async def test_a_run_that_is_being_projected_is_swept_afterwards(bench: Bench) -> None:
    run = Facts(total=1)
    await bench.completed(run, scored(0))
    async with bench.database.transaction() as connection:
        await connection.execute("SELECT FROM runs WHERE id = $1 FOR UPDATE", run.id)
        await bench.forgetting.forget(run.workspace, [run.id], [])
        await bench.forgetting.sweep()
        assert (await rows_of(bench.database, run))["results"] == 1
    await bench.forgetting.sweep()
    assert (await rows_of(bench.database, run))["results"] == 0


async def test_a_tombstone_is_swept_a_minute_later_and_goes_after_a_week(bench: Bench) -> None:
    run = Facts()
    await bench.forgetting.forget(run.workspace, [run.id], [])
    await bench.forgetting.sweep()
    assert await _age(bench.database, run, "created_at", "2 minutes") == (False, 1)
    await bench.forgetting.sweep()
    assert await _age(bench.database, run, "swept_at", "8 days") == (True, 1)
    await bench.forgetting.sweep()
    assert (await _age(bench.database, run, "swept_at", "0"))[1] == 0


async def _age(database: Database, run: Facts, column: str, by: str) -> tuple[bool, int]:
    """Whether the tombstone was swept, and how many there are; then it is made older."""
    async with database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT coalesce(bool_and(swept_at IS NOT NULL), false), count(*) FROM tombstones WHERE id = $1", run.id
        )
        await connection.execute(f"UPDATE tombstones SET {column} = {column} - interval '{by}' WHERE id = $1", run.id)
    assert row is not None
    return row[0], row[1]


async def test_followers_are_told_that_a_run_is_gone(bench: Bench) -> None:
    run = Facts()
    await bench.forgetting.forget(run.workspace, [run.id], [])
    assert bench.told == [run.id]
