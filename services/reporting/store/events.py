"""A run's events: its results and the rows of `run_events`, in one dense sequence."""

from services.reporting.entities.results import RunEvent
from services.reporting.entities.runs import Run
from shared.postgres import Connection


async def close(connection: Connection, run: Run) -> None:
    """Writes the final event of a run that has just closed: run.completed, run.error or run.cancelled, the last number."""
    await connection.execute(
        "INSERT INTO run_events (workspace_id, run_id, seq, kind) VALUES ($1, $2, $3, 'run.' || $4::text)",
        run.workspace_id,
        run.id,
        run.last_seq,
        run.state,
    )


async def page(connection: Connection, run: Run, after: int, limit: int) -> list[RunEvent]:
    """At most `limit` of a run's events, following number `after`, as far as `run` knows of them."""
    rows = await connection.fetch(
        """
        SELECT seq, 'case.scored' AS kind, test_case_id, repeat, status, score
        FROM results WHERE workspace_id = $1 AND run_id = $2 AND seq > $3 AND seq <= $4
        UNION ALL
        SELECT seq, kind, NULL, 0, '', NULL
        FROM run_events WHERE workspace_id = $1 AND run_id = $2 AND seq > $3 AND seq <= $4
        ORDER BY seq
        """,
        run.workspace_id,
        run.id,
        after,
        min(after + limit, run.last_seq),
    )
    return [RunEvent(*row) for row in rows]
