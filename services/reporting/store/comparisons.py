"""Results summarised by case: what a comparison needs of two runs, and no text but of what changed."""

from collections.abc import Sequence
from uuid import UUID

from services.reporting.comparison import CaseSummary
from services.reporting.entities.runs import Run
from shared.postgres import Connection


async def cases(connection: Connection, run: Run) -> dict[UUID, CaseSummary]:
    """A run's cases over their repeats, in order of their first. A repeat passed if every evaluator of it did."""
    rows = await connection.fetch(
        """
        SELECT test_case_id, count(DISTINCT repeat) AS results,
               count(DISTINCT repeat) - count(DISTINCT repeat) FILTER (WHERE status <> 'passed') AS passed,
               count(DISTINCT repeat) FILTER (WHERE status = 'error') AS errors, avg(score) AS score,
               min(hashtextextended(expected_response, hashtextextended(question, 0))) AS content,
               coalesce(string_agg(DISTINCT concat_ws(' ', method, scored_by, judge), ', ') FILTER (WHERE status <> 'error'), '') AS judged_by
        FROM results WHERE workspace_id = $1 AND run_id = $2
        GROUP BY test_case_id ORDER BY min(ord)
        """,
        run.workspace_id,
        run.id,
    )
    return {row["test_case_id"]: CaseSummary(*row) for row in rows}


async def questions(connection: Connection, run: Run, case_ids: Sequence[UUID]) -> dict[UUID, str]:
    """What these cases ask in a run."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (test_case_id) test_case_id, question FROM results
        WHERE workspace_id = $1 AND run_id = $2 AND test_case_id = ANY($3::uuid[]) ORDER BY test_case_id, ord
        """,
        run.workspace_id,
        run.id,
        list(case_ids),
    )
    return {row["test_case_id"]: row["question"] for row in rows}
