"""Cases of client-driven runs: awaited until they are recorded, queued until all are in, then executed at once."""

from uuid import UUID

from services.runner.entities import Executed
from services.runner.store.cases import CLAIMED, claimed_case
from services.runner.subjects import Recording
from shared.postgres import Connection


async def record(connection: Connection, workspace: UUID, run_id: UUID, case_id: UUID, said: Recording) -> bool:
    """Whether the case could still be recorded."""
    return bool(
        await connection.fetchval(
            """
            UPDATE run_cases c SET output = $4, error = $5, execution_time_ms = $6, record = $7, awaited = false, attempts = c.attempts + 1
            FROM runs r
            WHERE r.workspace_id = $1 AND r.id = $2 AND r.client_driven AND r.state = 'running'
              AND c.run_id = $2 AND c.case_id = $3 AND c.awaited IS NOT NULL AND c.state = 'queued'
            RETURNING true
            """,
            workspace,
            run_id,
            case_id,
            said.output,
            said.error,
            said.execution_time_ms,
            dict(said.record),
        )
    )


async def has_case(connection: Connection, run_id: UUID, case_id: UUID) -> bool:
    """Whether the run has this case."""
    return bool(
        await connection.fetchval(
            "SELECT true FROM run_cases WHERE run_id = $1 AND case_id = $2 AND awaited IS NOT NULL LIMIT 1", run_id, case_id
        )
    )


async def awaits(connection: Connection, run_id: UUID) -> bool:
    """Whether a case is still to be recorded."""
    return bool(await connection.fetchval("SELECT true FROM run_cases WHERE run_id = $1 AND awaited LIMIT 1", run_id))


async def give_up(connection: Connection, run_id: UUID, error: str) -> None:
    """Closes the cases that were not recorded, as errors."""
    await connection.execute(
        "UPDATE run_cases SET awaited = false, error = $2 WHERE run_id = $1 AND awaited AND state = 'queued'", run_id, error
    )


async def submit_slice(connection: Connection, run_id: UUID, rows: int) -> list[Executed]:
    """Makes some recorded cases executed, in order; none when all are. The caller has locked the run."""
    found = await connection.fetch(
        f"""
        WITH slice AS (SELECT ord FROM run_cases WHERE run_id = $1 AND state = 'queued' ORDER BY ord LIMIT $2)
        UPDATE run_cases c SET state = 'executed', fence = c.fence + 1
        FROM slice WHERE c.run_id = $1 AND c.ord = slice.ord
        RETURNING {CLAIMED}, c.output, c.error, c.execution_time_ms, c.record
        """,  # noqa: S608 constants
        run_id,
        rows,
    )
    executed = [Executed(claimed_case(row), row["output"], row["error"], row["execution_time_ms"], 0, (), row["record"]) for row in found]
    return sorted(executed, key=lambda each: each.case.ord)


async def unsubmitted(connection: Connection) -> list[UUID]:
    """Running client-driven runs that have every case, and none of them executed."""
    rows = await connection.fetch(
        """
        SELECT r.id FROM runs r WHERE r.state = 'running' AND r.client_driven
          AND NOT EXISTS (SELECT FROM run_cases c WHERE c.run_id = r.id AND c.awaited)
          AND EXISTS (SELECT FROM run_cases c WHERE c.run_id = r.id AND c.state = 'queued')
        """
    )
    return [row["id"] for row in rows]
