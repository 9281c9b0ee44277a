"""Rows of `results`, and the blocks by which a page of a million of them is found without counting."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from services.reporting.entities.results import Added, NewResult, Result
from services.reporting.entities.runs import ERROR, FAILED, PASSED, Run, Tally
from shared.pages import Page, PageRequest
from shared.postgres import Connection

BLOCK_ORDS = 1000
COLUMNS = """
  id, run_id, test_case_id, repeat, question, expected_response, actual_response, test_method, method, status, score, threshold,
  reasoning, execution_time_ms, error, scored_by, warnings, attempts, created_at
"""


async def insert(connection: Connection, rows: Sequence[NewResult], numbered: Sequence[Run]) -> list[Added]:
    """Writes those rows that are new, numbered after their run's newest event, and tells what they added.

    The caller holds the locks of the runs and gives each (run, ord, evaluator) once; so the numbers are dense.
    """
    # Looking each row up by itself keeps to the index whatever the planner believes of a table that grew since it looked.
    added = await connection.fetch(
        f"""
        WITH heard AS (
          SELECT * FROM unnest(
            $1::uuid[], $2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::integer[], $8::text[], $9::text[],
            $10::text[], $11::text[], $12::text[], $13::text[], $14::float8[], $15::float8[], $16::text[], $17::integer[],
            $18::text[], $19::text[], $20::text[], $21::text[], $22::integer[], $23::timestamptz[], $24::text[])
          AS t (run_id, ord, evaluator, workspace_id, id, test_case_id, repeat, question, expected_response, actual_response,
                test_method, method, status, score, threshold, reasoning, execution_time_ms, error, scored_by, judge, warnings,
                attempts, created_at, details)
        ), fresh AS (
          SELECT heard.*, row_number() OVER (PARTITION BY run_id ORDER BY ord, evaluator) AS place
          FROM heard
          WHERE (SELECT true FROM results AS known
                 WHERE known.run_id = heard.run_id AND known.ord = heard.ord AND known.evaluator = heard.evaluator) IS NULL
        ), written AS (
          INSERT INTO results (seq, run_id, ord, evaluator, workspace_id, id, test_case_id, repeat, question, expected_response,
                               actual_response, test_method, method, status, score, threshold, reasoning, execution_time_ms,
                               error, scored_by, judge, warnings, attempts, created_at, details)
          SELECT base.last_seq + place, run_id, ord, evaluator, workspace_id, id, test_case_id, repeat, question,
                 expected_response, actual_response, test_method, method, status, score, threshold, reasoning,
                 execution_time_ms, error, scored_by, judge, warnings::jsonb, attempts, created_at, details::jsonb
          FROM fresh JOIN unnest($25::uuid[], $26::bigint[]) AS base (id_of_run, last_seq) ON id_of_run = run_id
          ORDER BY run_id, place
          RETURNING workspace_id, run_id, ord, evaluator, status, score
        )
        SELECT workspace_id, run_id, ord / {BLOCK_ORDS} AS block, evaluator, count(*) FILTER (WHERE status = 'passed') AS passed,
               count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE status = 'error') AS errors,
               coalesce(sum(score::numeric), 0) AS score_sum, count(score) AS score_count
        FROM written GROUP BY workspace_id, run_id, block, evaluator ORDER BY run_id, block, evaluator
        """,  # noqa: S608 a constant of this module
        *(list(column) for column in zip(*rows, strict=True)),
        [run.id for run in numbered],
        [run.last_seq for run in numbered],
    )
    return [Added(row[0], row[1], row[2], row[3], Tally(*row[4:])) for row in added]


async def count(connection: Connection, added: Sequence[Added]) -> None:
    """Adds to the counts of blocks; the caller holds the locks of the runs."""
    await connection.execute(
        """
        INSERT INTO result_blocks AS known (workspace_id, run_id, block, passed, failed, errors)
        SELECT workspace_id, run_id, block, sum(passed), sum(failed), sum(errors)
        FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::integer[])
          AS heard (workspace_id, run_id, block, passed, failed, errors)
        GROUP BY workspace_id, run_id, block
        ON CONFLICT (run_id, block) DO UPDATE
        SET passed = known.passed + excluded.passed, failed = known.failed + excluded.failed, errors = known.errors + excluded.errors
        """,
        [part.workspace_id for part in added],
        [part.run_id for part in added],
        [part.block for part in added],
        [part.tally.passed for part in added],
        [part.tally.failed for part in added],
        [part.tally.errors for part in added],
    )


@dataclass(frozen=True)
class _Place:
    """Where a page is: after the first `skip` of those results whose ord is from `first_ord` up to, not with, `end_ord`."""

    first_ord: int
    end_ord: int
    skip: int


async def page(connection: Connection, run: Run, status: str | None, request: PageRequest) -> Page[Result]:
    """A page of a run's results in order of ord, of one status or of all."""
    total = run.tally.of(status)
    place = await _place(connection, run, status, request) if request.offset < total else None
    if place is None:
        return Page([], total, request)
    # Bounded at both ends: however the planner goes about it, it reads no more than those blocks.
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM results
        WHERE workspace_id = $1 AND run_id = $2 AND ord >= $3 AND ord < $4 {"AND status = $7" if status else ""}
        ORDER BY ord, evaluator OFFSET $5 LIMIT $6
        """,  # noqa: S608 constants of this module
        run.workspace_id,
        run.id,
        place.first_ord,
        place.end_ord,
        place.skip,
        request.size,
        *([status] if status else []),
    )
    return Page([_result(row) for row in rows], total, request)


async def _place(connection: Connection, run: Run, status: str | None, request: PageRequest) -> _Place | None:
    counted = {None: "passed + failed + errors", PASSED: "passed", FAILED: "failed", ERROR: "errors"}[status]
    rows = await connection.fetch(
        f"""
        SELECT block, upto - many AS before
        FROM (SELECT block, {counted} AS many, sum({counted}) OVER (ORDER BY block) AS upto
              FROM result_blocks WHERE workspace_id = $1 AND run_id = $2) AS numbered
        WHERE upto > $3 AND upto - many < $4 ORDER BY block
        """,  # noqa: S608 the same
        run.workspace_id,
        run.id,
        request.offset,
        request.offset + request.size,
    )
    if not rows:
        return None
    return _Place(rows[0]["block"] * BLOCK_ORDS, (rows[-1]["block"] + 1) * BLOCK_ORDS, request.offset - int(rows[0]["before"]))


def _result(row: asyncpg.Record) -> Result:
    return Result(**{**row, "warnings": tuple(row["warnings"])})
