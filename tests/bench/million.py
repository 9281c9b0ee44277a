"""Case (e): pages of a run with a million results, which SQL writes as reporting would have, in a fraction of the time."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from tests.bench.evaluations import Evaluations
from tests.bench.figures import Figure, quantile
from tests.bench.gateway import BenchFailedError

RESULTS = 1_000_000
PAGE_SIZE = 100
READS = 30
BLOCK = 1_000
RUN = """
INSERT INTO reporting.runs (id, workspace_id, subject_id, target_id, state, triggered_by, total_cases, tags, created_at, started_at,
                            completed_at, passed, score_sum, score_count, last_seq, final_state, finished_at, expected_results, closed)
VALUES ($1, $2, $3, $3, 'completed', 'api', $4::integer, '{}', now(), now(), now(), $4, $4, $4, $4 + 2, 'completed', now(), $4, true)
"""
EVENTS = """
INSERT INTO reporting.run_events (run_id, seq, workspace_id, kind) VALUES ($1, 1, $2, 'run.started'), ($1, $3::bigint + 2, $2, 'run.completed')
"""
ROWS = """
INSERT INTO reporting.results (run_id, ord, evaluator, seq, workspace_id, id, test_case_id, repeat, question, expected_response,
                               actual_response, test_method, method, status, score, threshold, reasoning, execution_time_ms,
                               scored_by, warnings, attempts, created_at)
SELECT $1, ord, 'exact_match', ord + 2, $2, uuidv7(), uuidv7(), 1,
       'Question ' || ord || ': how long is a ticket valid after it was bought at the counter?',
       'A ticket is valid for ' || ord || ' minutes after it was bought.', 'A ticket is valid for ' || ord || ' minutes after it was bought.',
       'exact_match', 'deterministic', 'passed', 1, 0.7, 'equal to the expected text', 50, 'exact_match@1', '[]', 1, now()
FROM generate_series(0, $3::integer - 1) AS ord
"""
BLOCKS = """
INSERT INTO reporting.result_blocks (run_id, block, workspace_id, passed, failed, errors)
SELECT $1, block, $2, $4, 0, 0 FROM generate_series(0, $3::integer / $4::integer - 1) AS block
"""
TABLES = ("results", "result_blocks", "run_events")


def last_page(bench: Evaluations) -> Iterator[Figure]:
    """The last unfiltered page, and the first to compare with."""
    run_id = uuid7()
    url = bench.gateway.env["ASSAY_DATABASE_URL"]
    took = asyncio.run(_fill(url, run_id, UUID(bench.gateway.env["ASSAY_WORKSPACE_ID"])))
    bench.say(f"    {RESULTS:,} results written in {took:.0f} s")
    try:
        first, last = _read(bench, run_id, 1), _read(bench, run_id, RESULTS // PAGE_SIZE)
    finally:
        asyncio.run(_remove(url, run_id))
    note = f"p50 of {READS}, the slowest {last[-1] * 1000:.0f} ms; the first page's p50 is {quantile(first, 0.5) * 1000:.1f} ms"
    yield Figure("e", f"last page of {RESULTS:,} results", f"{quantile(last, 0.5) * 1000:.1f} ms", "≤ 50 ms", note)


async def _fill(url: str, run_id: UUID, workspace: UUID) -> float:
    """Seconds that it took to write a completed run."""
    began = time.monotonic()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        async with connection.transaction():
            await connection.execute(RUN, run_id, workspace, uuid7(), RESULTS)
            await connection.execute(EVENTS, run_id, workspace, RESULTS)
            await connection.execute(BLOCKS, run_id, workspace, RESULTS, BLOCK)
            await connection.execute(ROWS, run_id, workspace, RESULTS)
        # What autovacuum does by itself a little later.
        await connection.execute("VACUUM (ANALYZE) reporting.results")
    finally:
        await connection.close()
    return time.monotonic() - began


async def _remove(url: str, run_id: UUID) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DELETE FROM reporting.runs WHERE id = $1", run_id)
        for table in TABLES:
            await connection.execute(f"DELETE FROM reporting.{table} WHERE run_id = $1", run_id)
    finally:
        await connection.close()


def _read(bench: Evaluations, run_id: UUID, page: int) -> Sequence[float]:
    """Seconds of each read of a page, in ascending order."""
    path = f"/v1/evaluation/runs/{run_id}/results?page={page}&page_size={PAGE_SIZE}"
    seconds = []
    for _ in range(READS):
        began = time.perf_counter()
        answer = bench.gateway.get(path)
        seconds.append(time.perf_counter() - began)
        if len(answer["items"]) != PAGE_SIZE or answer["total"] != RESULTS:
            raise BenchFailedError(f"page {page} has {len(answer['items'])} of {answer['total']} results")
    return sorted(seconds)
