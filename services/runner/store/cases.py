"""Run cases in Postgres: frozen, executed, scored, closed; and what is read of them. leases.py claims them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.runner.entities import Counts, Executed, Outcome, Range, Turn
from shared.postgres import Connection

FROZEN_COLUMNS = (
    "run_id",
    "ord",
    "case_id",
    "repeat",
    "question",
    "expected",
    "test_method",
    "passing_score",
    "keywords",
    "file_url",
    "file_mime_type",
    "plan",
    "awaited",
)


# Rows are always named by run_id and ord = ANY(...), beside any join: right after a big COPY the statistics still tell of a
# few rows, and a plan that begins with all rows of the run costs more than the whole pipeline (measured: ten times).
def ords(ranges: Sequence[Range]) -> list[int]:
    """All ords of these ranges, by which rows are named."""
    return [ord_ for each in ranges for ord_ in each.ords]


async def freeze(connection: Connection, records: Sequence[tuple[Any, ...]]) -> None:
    """Writes frozen cases; each record is in the order of FROZEN_COLUMNS."""
    await connection.copy_records_to_table("run_cases", records=records, columns=FROZEN_COLUMNS)


async def join_by_hash(connection: Connection) -> None:
    """For the rest of the transaction. Taken for a single row, a batch would be joined by as many look-ups squared (measured: 100 ms for
    300 rows).
    """
    await connection.execute("SET LOCAL enable_nestloop = off")


async def execute(connection: Connection, run_id: UUID, executed: Sequence[Executed]) -> set[int]:
    """Writes what became of claimed cases; returns the ords whose fence still held: only these took effect."""
    await join_by_hash(connection)
    rows = await connection.fetch(
        """
        UPDATE run_cases c
        SET state = 'executed', lease_until = NULL, output = e.output, error = e.error,
            execution_time_ms = e.execution_time_ms, attempts = c.attempts + e.attempts,
            warnings = coalesce(string_to_array(e.warnings, E'\\x1f'), '{}'), record = e.record
        FROM unnest($2::int[], $3::int[], $4::text[], $5::text[], $6::int[], $7::int[], $8::text[], $9::jsonb[])
          AS e (ord, fence, output, error, execution_time_ms, attempts, warnings, record)
        WHERE c.run_id = $1 AND c.ord = ANY($2::int[]) AND c.ord = e.ord AND c.fence = e.fence AND c.state = 'leased'
        RETURNING c.ord
        """,
        run_id,
        [each.case.ord for each in executed],
        [each.case.fence for each in executed],
        [each.output for each in executed],
        [each.error for each in executed],
        [each.execution_time_ms for each in executed],
        [each.attempts for each in executed],
        # unnest can't take rows of arrays of different lengths, so the few warnings travel joined.
        ["\x1f".join(each.warnings) or None for each in executed],
        [each.record for each in executed],
    )
    return {row["ord"] for row in rows}


async def scored(connection: Connection, run_id: UUID, outcomes: Mapping[int, Outcome]) -> None:
    """Notes that cases were scored, given as ord → outcome."""
    await join_by_hash(connection)
    await connection.execute(
        """
        UPDATE run_cases c SET state = 'scored', outcome = s.outcome, score = s.score, results = s.results
        FROM unnest($2::int[], $3::text[], $4::float8[], $5::int[]) AS s (ord, outcome, score, results)
        WHERE c.run_id = $1 AND c.ord = ANY($2::int[]) AND c.ord = s.ord AND c.state = 'executed'
        """,
        run_id,
        list(outcomes),
        [outcome.status for outcome in outcomes.values()],
        [outcome.score for outcome in outcomes.values()],
        [outcome.results for outcome in outcomes.values()],
    )


async def first_open(connection: Connection, run_id: UUID, start: int) -> int | None:
    """The first ord from `start` on that isn't final. Final cases never open again, so callers remember what they saw."""
    ord_: int | None = await connection.fetchval(
        """
        SELECT ord FROM run_cases WHERE run_id = $1 AND ord >= $2 AND state NOT IN ('scored', 'cancelled')
        ORDER BY ord LIMIT 1
        """,
        run_id,
        start,
    )
    return ord_


async def unexecuted(connection: Connection, run_id: UUID, ranges: Sequence[Range]) -> list[int]:
    """The ords of these ranges that are queued or leased, in order."""
    rows = await connection.fetch(
        "SELECT ord FROM run_cases WHERE run_id = $1 AND ord = ANY($2::int[]) AND state IN ('queued', 'leased') ORDER BY ord",
        run_id,
        ords(ranges),
    )
    return [row["ord"] for row in rows]


async def cancel_slice(connection: Connection, run_id: UUID, first: int, rows: int) -> int | None:
    """Closes unexecuted cases as cancelled, past any claim of theirs: those of so many ords, beginning with the first unexecuted
    one from `first` on. The ord to go on from; None if there was none.
    """
    found: int | None = await connection.fetchval(
        "SELECT ord FROM run_cases WHERE run_id = $1 AND ord >= $2 AND state IN ('queued', 'leased') ORDER BY ord LIMIT 1",
        run_id,
        first,
    )
    if found is None:
        return None
    # Locked in order first, as by claims: of two that lock the same rows each in its own order, one would fail.
    await connection.execute(
        """
        SELECT FROM run_cases WHERE run_id = $1 AND ord >= $2 AND ord < $3 AND state IN ('queued', 'leased') ORDER BY ord FOR UPDATE
        """,
        run_id,
        found,
        found + rows,
    )
    await connection.execute(
        """
        UPDATE run_cases SET state = 'cancelled', fence = fence + 1, lease_until = NULL
        WHERE run_id = $1 AND ord >= $2 AND ord < $3 AND state IN ('queued', 'leased')
        """,
        run_id,
        found,
        found + rows,
    )
    return found + rows


async def counts(connection: Connection, run_id: UUID) -> Counts:
    """Results of a run so far."""
    row = await connection.fetchrow(
        """
        SELECT count(*) FILTER (WHERE outcome = 'passed') AS passed, count(*) FILTER (WHERE outcome = 'failed') AS failed,
               count(*) FILTER (WHERE outcome = 'error') AS errors, avg(score) AS average_score,
               coalesce(sum(results) FILTER (WHERE outcome IS NOT NULL), 0) AS results
        FROM run_cases WHERE run_id = $1
        """,
        run_id,
    )
    return Counts(row["passed"], row["failed"], row["errors"], row["average_score"], row["results"]) if row else Counts()


async def turns(connection: Connection, run_id: UUID, before: Range) -> list[Turn]:
    """The turns of a conversation that were executed already, in order."""
    rows = await connection.fetch(
        """
        SELECT question, output FROM run_cases
        WHERE run_id = $1 AND ord BETWEEN $2 AND $3 AND state IN ('executed', 'scored') AND output IS NOT NULL ORDER BY ord
        """,
        run_id,
        before.first,
        before.last,
    )
    return [Turn(row["question"], row["output"]) for row in rows]


async def texts(connection: Connection, run_id: UUID, ord_: int) -> asyncpg.Record | None:
    """(ord, question, expected, output, plan, record) of one case: they may be megabytes."""
    return await connection.fetchrow(
        "SELECT ord, question, expected, output, plan, record FROM run_cases WHERE run_id = $1 AND ord = $2", run_id, ord_
    )


async def executed_count(connection: Connection, run_id: UUID) -> int:
    """Cases that were executed, closed, or recorded by the client that drives the run."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM run_cases WHERE run_id = $1 AND (state NOT IN ('queued', 'leased') OR awaited = false)", run_id
    )
    return count


async def ids(connection: Connection, run_id: UUID) -> list[UUID]:
    """The cases of a run, in order of ord."""
    return [row["case_id"] for row in await connection.fetch("SELECT case_id FROM run_cases WHERE run_id = $1 ORDER BY ord", run_id)]
