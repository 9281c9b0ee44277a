"""What scoring remembers, on real Postgres."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import asyncpg
import pytest

from services.scoring import store
from services.scoring.entities import Evidence, Score, Scored
from services.scoring.store import JudgeCache
from shared import inbox
from shared.ids import new_id
from shared.postgres import Connection, Database, open_pool
from shared.topics import CASES_EXECUTED
from tests.servers import PostgresServer
from tests.services.scoring.events import a_score, case_id
from tests.shared.plans import Statements, indexes, scanned

NOW = datetime(2026, 11, 3, 9, 30, 0, 250_000, tzinfo=UTC)
WORKSPACE = new_id()
COLUMNS = "evaluator, workspace_id, status, value, method, threshold, reason, error, scored_by, warnings, details, scored_at"
SEQS = count(1)


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.create(["scoring"])["scoring"]


@pytest.fixture
async def pool(url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(url, 3)
    yield pool
    await pool.close()


@pytest.fixture
async def connection(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """In a transaction that ends with the test: each sees nothing of the others."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield connection
        await transaction.rollback()


def a_row(run_id: UUID, ord_: int = 0, score: Score | None = None) -> Scored:
    return Scored(run_id, case_id(ord_), 1, "exact_match", score or a_score())


async def test_a_score_is_kept_whole(connection: Connection) -> None:
    span = Evidence("output", 0, 4, 8, "days")
    score = a_score("failed", 0.25, warnings=("one", "two, too"), evidence=(span,), provenance={"model": "m", "tokens": 12})
    run_id = new_id()
    await store.insert_scores(connection, WORKSPACE, [a_row(run_id, score=score)], NOW)
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM scores WHERE run_id = $1", run_id)
    assert row is not None
    details = {
        "evidence": [{"field": "output", "turn": 0, "start": 4, "end": 8, "quote": "days", "found_by": "scorer", "match": "exact"}],
        "provenance": {"model": "m", "tokens": 12},
    }
    reason = "equal to the expected text"
    told = ("failed", 0.25, "deterministic", 0.7, reason, None, "exact_match@1", ["one", "two, too"], details)
    assert tuple(row) == ("exact_match", WORKSPACE, *told, NOW)


async def test_what_a_score_lacks_stays_absent(connection: Connection) -> None:
    run_id = new_id()
    await store.insert_scores(connection, WORKSPACE, [a_row(run_id, score=a_score("error", None, error="no verdict"))], NOW)
    row = await connection.fetchrow("SELECT value, error, warnings, details FROM scores WHERE run_id = $1", run_id)
    assert row is not None
    assert tuple(row) == (None, "no verdict", [], None)


async def test_a_score_that_stands_stays(connection: Connection) -> None:
    run_id = new_id()
    first, second = a_row(run_id), a_row(run_id, score=a_score("failed", 0.0))
    await store.insert_scores(connection, WORKSPACE, [first, first], NOW)
    await store.insert_scores(connection, WORKSPACE, [second, replace(second, repeat=2)], NOW)
    rows = await connection.fetch("SELECT repeat, status FROM scores WHERE run_id = $1 ORDER BY repeat", run_id)
    assert [tuple(row) for row in rows] == [(1, "passed"), (2, "failed")]


async def test_a_status_that_nobody_knows_is_refused(connection: Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await store.insert_scores(connection, WORKSPACE, [a_row(new_id(), score=a_score("maybe"))], NOW)


async def test_tries_are_counted_taken_back_and_forgotten(connection: Connection) -> None:
    one, two = next(SEQS), next(SEQS)
    assert await store.begin_tries(connection, [two, one]) == {one: 1, two: 1}
    assert await store.begin_tries(connection, [one]) == {one: 2}
    await store.take_back_tries(connection, [one, two])
    assert await store.tries(connection, [one, two]) == {one: 1}
    await store.forget_tries(connection, [one])
    assert await store.tries(connection, [one, two]) == {}


async def test_scores_of_a_deleted_run_go_slice_by_slice(connection: Connection) -> None:
    gone, stays = new_id(), new_id()
    await store.insert_scores(connection, WORKSPACE, [a_row(run, n) for run in (gone, stays) for n in range(5)], NOW)
    await store.remove_run(connection, gone)
    await store.remove_run(connection, gone)
    assert [await store.remove_slice(connection, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert await connection.fetchval("SELECT count(*) FROM scores WHERE run_id = $1", gone) == 0
    assert await connection.fetchval("SELECT count(*) FROM scores WHERE run_id = $1", stays) == 5


async def test_the_scores_of_deleted_runs_are_found_by_an_index_however_many_those_are(connection: Connection) -> None:
    await connection.execute(
        """
        INSERT INTO scores (run_id, case_id, repeat, evaluator, workspace_id, status, method, threshold, reason, scored_by, warnings, scored_at)
        SELECT run, gen_random_uuid(), 1, 'e', run, 'error', 'm', 0, '', '', '{}', now()
        FROM (SELECT gen_random_uuid() AS run FROM generate_series(1, 2000)) AS runs, generate_series(1, 10)
        """
    )
    await connection.execute("INSERT INTO removals (run_id) SELECT DISTINCT run_id FROM scores LIMIT 500")
    await connection.execute("ANALYZE scores, removals")
    said = Statements()
    with connection.query_logger(said):
        assert await store.remove_slice(connection, 100) == 100
    nodes = await said.nodes(connection)
    assert ("scores" in scanned(nodes), indexes(nodes), "Bitmap Heap Scan" in {node["Node Type"] for node in nodes}) == (
        False,
        {"scores_pkey"},
        False,
    )


async def test_scores_that_come_after_the_delete_go_too(connection: Connection) -> None:
    gone = new_id()
    await store.remove_run(connection, gone)
    assert await store.remove_slice(connection, 10) == 0
    await store.remove_outdated(connection, 10)
    await store.insert_scores(connection, WORKSPACE, [a_row(gone)], NOW)
    assert await store.remove_slice(connection, 10) == 1


async def test_a_mark_goes_after_a_day_if_nothing_is_left(connection: Connection) -> None:
    empty, full, fresh = new_id(), new_id(), new_id()
    await store.insert_scores(connection, WORKSPACE, [a_row(full)], NOW)
    for run in (empty, full, fresh):
        await store.remove_run(connection, run)
    await connection.execute("UPDATE removals SET deleted_at = now() - interval '25 hours' WHERE run_id <> $1", fresh)
    await store.remove_outdated(connection, 10)
    assert {row["run_id"] for row in await connection.fetch("SELECT run_id FROM removals")} == {full, fresh}


async def test_verdicts_go_after_thirty_days(connection: Connection) -> None:
    await connection.execute("INSERT INTO judge_cache SELECT 'old ' || n, '{}', now() - interval '31 days' FROM generate_series(1, 3) AS n")
    await connection.execute("INSERT INTO judge_cache VALUES ('young', '{}', now() - interval '29 days')")
    await store.remove_outdated(connection, 2)
    assert await connection.fetchval("SELECT count(*) FROM judge_cache WHERE key LIKE 'old %'") == 1
    await store.remove_outdated(connection, 2)
    assert await connection.fetchval("SELECT array_agg(key) FROM judge_cache") == ["young"]


async def test_tries_of_events_that_took_effect_elsewhere_go(connection: Connection) -> None:
    await inbox.take(connection, CASES_EXECUTED, [1, 2, 4])
    await store.begin_tries(connection, [2, 3, 4])
    await inbox.watermark(connection, CASES_EXECUTED)
    await store.remove_outdated(connection, 10)
    assert await store.tries(connection, [2, 3, 4]) == {3: 1, 4: 1}


async def test_a_verdict_is_kept_under_its_key(pool: asyncpg.Pool) -> None:
    cache, key = JudgeCache(Database(pool)), str(new_id())
    assert await cache.get(key) is None
    await cache.put(key, {"answer": {"complete": True}, "warnings": ["é"]})
    await cache.put(key, {"answer": {}})
    assert await cache.get(key) == {"answer": {"complete": True}, "warnings": ["é"]}


@pytest.mark.parametrize("answer", ["a\0b", "a\ud800b", 10**30], ids=["U+0000", "surrogate", "huge"])
async def test_a_verdict_that_cant_be_kept_is_no_error(pool: asyncpg.Pool, answer: object) -> None:
    cache, key = JudgeCache(Database(pool)), str(new_id())
    await cache.put(key, {"answer": answer})
    assert await cache.get(key) is None


async def test_without_postgres_the_cache_is_empty(url: str) -> None:
    closed = await open_pool(url, 1)
    await closed.close()
    cache = JudgeCache(Database(closed))
    await cache.put("key", {})
    assert await cache.get("key") is None
