"""What may go: whole runs, and the cases of runs that ended; each statement finds its rows by an index."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.runner.entities import CANCELLED, Counts, Run
from services.runner.store import cases
from shared.postgres import Connection


@dataclass(frozen=True, order=True)
class Ended:
    """A run that ended, in the order in which they did."""

    completed_at: datetime
    id: UUID


FIRST = Ended(datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


@dataclass(frozen=True)
class Unpruned:
    """A run that ended and still has its cases."""

    ended: Ended
    workspace: UUID
    state: str


async def unpruned(connection: Connection, age: timedelta, after: Ended, most: int) -> list[Unpruned]:
    """Runs that ended longer ago than this and still have their cases: those after a place, in order."""
    rows = await connection.fetch(
        """
        SELECT id, workspace_id, state, completed_at FROM runs
        WHERE NOT cases_pruned AND completed_at < now() - $1::interval AND (completed_at, id) > ($2, $3)
        ORDER BY completed_at, id LIMIT $4
        """,
        age,
        after.completed_at,
        after.id,
        most,
    )
    return [Unpruned(Ended(row["completed_at"], row["id"]), row["workspace_id"], row["state"]) for row in rows]


async def mark(connection: Connection, counts: Mapping[UUID, Counts | None]) -> None:
    """Has the cases of these runs removed; the counts are kept where there are any. Runs that others hold are left for another time."""
    await connection.execute(
        """
        WITH held AS (
          SELECT id FROM runs WHERE id = ANY($1::uuid[]) AND NOT cases_pruned ORDER BY id FOR UPDATE SKIP LOCKED
        ), marked AS (
          UPDATE runs r SET cases_pruned = true, counts = said.counts
          FROM unnest($1::uuid[], $2::jsonb[]) AS said (id, counts)
          WHERE r.id = said.id AND r.id IN (SELECT id FROM held) RETURNING r.id
        )
        INSERT INTO removals (run_id) SELECT id FROM marked ON CONFLICT DO NOTHING
        """,
        list(counts),
        [None if each is None else asdict(each) for each in counts.values()],
    )


async def counts(connection: Connection, run: Run) -> Counts:
    """Results of a run so far, also once its cases are gone. Only those of cancelled runs were kept: no other is ever asked for."""
    kept: dict[str, Any] | None = None
    if run.state == CANCELLED:
        kept = await connection.fetchval("SELECT counts FROM runs WHERE id = $1", run.id)
    return await cases.counts(connection, run.id) if kept is None else Counts(**kept)


async def remove_slice(connection: Connection, rows: int) -> bool:
    """Removes at most so many cases of a run that others don't hold. False if there was no such run."""
    held = await connection.fetchrow("SELECT run_id, next_ord FROM removals ORDER BY run_id LIMIT 1 FOR UPDATE SKIP LOCKED")
    if held is None:
        return False
    run_id = held["run_id"]
    first = await connection.fetchval("SELECT min(ord) FROM run_cases WHERE run_id = $1 AND ord >= $2", run_id, held["next_ord"])
    if first is None:
        await connection.execute("DELETE FROM removals WHERE run_id = $1", run_id)
        return True
    await connection.execute("DELETE FROM run_cases WHERE run_id = $1 AND ord >= $2 AND ord < $3", run_id, first, first + rows)
    # A call stays, for what its client may still ask; what was said in it went to reporting.
    await connection.execute(
        "UPDATE calls SET transcript = '[]' WHERE run_id = $1 AND ord >= $2 AND ord < $3 AND transcript <> '[]'",
        run_id,
        first,
        first + rows,
    )
    await connection.execute("UPDATE removals SET next_ord = $2 WHERE run_id = $1", run_id, first + rows)
    return True
