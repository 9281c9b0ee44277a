"""Cases of client-driven runs: awaited until they are recorded, queued until all are in, then executed at once."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.runner.entities import Executed
from services.runner.store.leases import CLAIMED, claimed_case
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


async def lock_cases(connection: Connection, run_id: UUID, case_ids: Sequence[UUID]) -> dict[UUID, tuple[int, bool]]:
    """Id → (ord, whether it can still be recorded) of those that the run has, locked in order."""
    rows = await connection.fetch(
        """
        SELECT case_id, ord, state = 'queued' AS queued FROM run_cases
        WHERE run_id = $1 AND case_id = ANY($2::uuid[]) AND awaited IS NOT NULL ORDER BY ord FOR UPDATE
        """,
        run_id,
        case_ids,
    )
    return {row["case_id"]: (row["ord"], row["queued"]) for row in rows}


async def record_all(connection: Connection, run_id: UUID, said: Mapping[int, Recording]) -> None:
    """Keeps what was said of cases, given as ord → recording; the caller has locked them."""
    await connection.execute(
        """
        UPDATE run_cases c SET output = s.output, error = s.error, execution_time_ms = s.execution_time_ms, record = s.record,
               awaited = false, attempts = c.attempts + 1
        FROM unnest($2::int[], $3::text[], $4::text[], $5::int[], $6::jsonb[]) AS s (ord, output, error, execution_time_ms, record)
        WHERE c.run_id = $1 AND c.ord = ANY($2::int[]) AND c.ord = s.ord
        """,
        run_id,
        list(said),
        [each.output for each in said.values()],
        [each.error for each in said.values()],
        [each.execution_time_ms for each in said.values()],
        [dict(each.record) for each in said.values()],
    )


async def awaits(connection: Connection, run_id: UUID) -> bool:
    """Whether a case is still to be recorded."""
    return bool(await connection.fetchval("SELECT true FROM run_cases WHERE run_id = $1 AND awaited LIMIT 1", run_id))


async def give_up(connection: Connection, run_id: UUID, error: str) -> None:
    """Closes the cases that were not recorded, as errors."""
    await connection.execute(
        "UPDATE run_cases SET awaited = false, error = $2 WHERE run_id = $1 AND awaited AND state = 'queued'", run_id, error
    )


async def sizes(connection: Connection, run_id: UUID, first: int, rows: int) -> list[tuple[int, int]]:
    """(ord, bytes of its texts) of some recorded cases that are not executed yet: the first of them from an ord on."""
    # Of JSON as it is written out: what Postgres stores may be a hundredth of it, being compressed.
    found = await connection.fetch(
        """
        SELECT ord, octet_length(question) + octet_length(expected) + coalesce(octet_length(output), 0) + coalesce(octet_length(error), 0)
                    + coalesce(octet_length(plan::text), 0) + coalesce(octet_length(record::text), 0) AS size
        FROM run_cases WHERE run_id = $1 AND ord >= $2 AND state = 'queued' ORDER BY ord LIMIT $3
        """,
        run_id,
        first,
        rows,
    )
    return [(row["ord"], row["size"]) for row in found]


async def submit(connection: Connection, run_id: UUID, ords: Sequence[int]) -> list[Executed]:
    """Makes recorded cases executed, and tells them in order. The caller has locked the run."""
    found = await connection.fetch(
        f"""
        UPDATE run_cases c SET state = 'executed', fence = c.fence + 1
        WHERE c.run_id = $1 AND c.ord = ANY($2::int[]) AND c.state = 'queued'
        RETURNING {CLAIMED}, c.output, c.error, c.execution_time_ms, c.record
        """,  # noqa: S608 constants
        run_id,
        ords,
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
