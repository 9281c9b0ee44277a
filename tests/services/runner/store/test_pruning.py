"""Pruning reads no table from its front: of many runs and cases each slice finds its own by an index."""

from datetime import timedelta

import pytest

from services.runner.store import pruning, runs
from services.runner.store.pruning import FIRST
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.house import a_run
from tests.shared.plans import Statements, indexes, scanned

DAY = timedelta(hours=24)
LARGE = {"runs", "run_cases", "removals"}
# Most runs ended long ago and were pruned, as in a database of some age.
CROWD = """
INSERT INTO runs (id, workspace_id, subject_id, revision, mode, language, target, state, triggered_by, tags, case_count, repeats,
                  total_cases, slots, created_at, completed_at, touched_at, cases_pruned)
SELECT gen_random_uuid(), workspace_id, subject_id, revision, mode, language, target, 'completed', triggered_by, tags, case_count, repeats,
       total_cases, slots, created_at, now() - make_interval(hours => n), touched_at, n % 100 > 0
FROM runs, generate_series(1, 3000) AS n
"""
THEIR_CASES = """
INSERT INTO run_cases (run_id, ord, case_id, repeat, question, expected, test_method, passing_score, keywords, state)
SELECT id, ord, id, 1, 'q', 'x', 'exact_match', 0.5, '{}', 'scored' FROM runs, generate_series(0, 9) AS ord
"""


@pytest.fixture
async def crowd(database: Database) -> Database:
    async with database.transaction() as connection:
        await runs.insert(connection, a_run())
        await connection.execute(CROWD)
        await connection.execute(THEIR_CASES)
        await connection.execute("INSERT INTO removals (run_id) SELECT id FROM runs WHERE cases_pruned")
        await connection.execute("ANALYZE runs, run_cases, removals, calls, tickets")
    return database


async def test_every_slice_finds_its_rows_by_an_index(crowd: Database) -> None:
    said = Statements()
    async with crowd.transaction() as connection:
        with connection.query_logger(said):
            due = await pruning.unpruned(connection, DAY, FIRST, 20)
            await pruning.unpruned(connection, DAY, due[-1].ended, 20)
            await pruning.mark(connection, {run.ended.id: None for run in due})
            assert await pruning.remove_slice(connection, 5)
            outlived = await runs.lock_ended(connection, DAY, 20)
            await runs.delete(connection, [run.id for run in outlived])
        assert (len(due), len(outlived)) == (20, 20)
        nodes = await said.nodes(connection)
        assert scanned(nodes) & LARGE == set()
        assert {"runs_unpruned", "runs_ended", "runs_pkey", "run_cases_pkey", "removals_pkey"} <= indexes(nodes)


async def test_a_table_that_is_read_from_its_front_is_seen(crowd: Database) -> None:
    said = Statements()
    async with crowd.transaction() as connection:
        with connection.query_logger(said):
            await connection.fetch("SELECT FROM run_cases WHERE case_id = $1", new_id())
        assert scanned(await said.nodes(connection)) & LARGE == {"run_cases"}
