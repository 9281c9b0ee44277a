"""What was deleted: reads hide it at once, its rows go in slices, and a late event has no effect on it."""

from collections.abc import Sequence
from uuid import UUID

from services.reporting.store.results import BLOCK_ORDS
from shared.postgres import Connection

SLICE_BLOCKS = 5
# A transaction that was open when the tombstone was set may still commit rows: it is looked at again for this long.
SETTLED = "1 minute"
# Later than this the runner knows nothing of it either, and what asks it is told so.
KEEP = "7 days"


async def add(connection: Connection, workspace: UUID, kind: str, ids: Sequence[UUID]) -> None:
    """Hides runs or test sets from now on."""
    await connection.execute(
        """
        INSERT INTO tombstones (workspace_id, id, kind) SELECT $1, wanted, $2 FROM unnest($3::uuid[]) AS wanted
        ON CONFLICT (workspace_id, id) DO NOTHING
        """,
        workspace,
        kind,
        list(ids),
    )


async def exists(connection: Connection, workspace: UUID, one_id: UUID) -> bool:
    """Whether this run or test set was deleted."""
    found = await connection.fetchval("SELECT EXISTS (SELECT FROM tombstones WHERE workspace_id = $1 AND id = $2)", workspace, one_id)
    return bool(found)


async def runs_left(connection: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """Some deleted runs that still have rows: workspace and run."""
    rows = await connection.fetch(
        """
        SELECT r.workspace_id, r.id FROM tombstones AS t JOIN runs AS r ON r.workspace_id = t.workspace_id AND r.id = t.id
        WHERE t.swept_at IS NULL AND t.kind = 'run'
        UNION
        SELECT r.workspace_id, r.id FROM tombstones AS t JOIN runs AS r ON r.workspace_id = t.workspace_id AND r.subject_id = t.id
        WHERE t.swept_at IS NULL AND t.kind = 'subject'
        LIMIT $1
        """,
        limit,
    )
    return [(row["workspace_id"], row["id"]) for row in rows]


async def hold(connection: Connection, workspace: UUID, run_id: UUID) -> bool:
    """Locks a deleted run's row, so that a projection that began before the delete has committed. False if others hold it."""
    found = await connection.fetchval("SELECT true FROM runs WHERE workspace_id = $1 AND id = $2 FOR UPDATE SKIP LOCKED", workspace, run_id)
    return found is not None


async def remove_results(connection: Connection, workspace: UUID, run_id: UUID) -> bool:
    """Removes a slice of a run's results. False if there was none left."""
    span = await connection.fetchrow(
        """
        WITH removed AS (
          DELETE FROM result_blocks WHERE workspace_id = $1 AND run_id = $2 AND block IN (
            SELECT block FROM result_blocks WHERE workspace_id = $1 AND run_id = $2 ORDER BY block LIMIT $3)
          RETURNING block
        )
        SELECT min(block) AS first, max(block) AS last FROM removed
        """,
        workspace,
        run_id,
        SLICE_BLOCKS,
    )
    if span is None or span["first"] is None:
        return False
    for table in ("results", "case_records"):
        await connection.execute(
            f"DELETE FROM {table} WHERE workspace_id = $1 AND run_id = $2 AND ord >= $3 AND ord < $4",  # noqa: S608 one of these two
            workspace,
            run_id,
            span["first"] * BLOCK_ORDS,
            (span["last"] + 1) * BLOCK_ORDS,
        )
    return True


async def remove_run(connection: Connection, workspace: UUID, run_id: UUID) -> None:
    """Removes what is left of a run once its results are gone."""
    await connection.execute("DELETE FROM evaluations WHERE workspace_id = $1 AND run_id = $2", workspace, run_id)
    await connection.execute("DELETE FROM run_events WHERE workspace_id = $1 AND run_id = $2", workspace, run_id)
    await connection.execute("DELETE FROM runs WHERE workspace_id = $1 AND id = $2", workspace, run_id)


async def settle(connection: Connection) -> None:
    """Marks tombstones that have no rows left as swept, once no transaction can bring any."""
    await connection.execute(
        f"""
        UPDATE tombstones AS t SET swept_at = now()
        WHERE swept_at IS NULL AND created_at < now() - interval '{SETTLED}' AND NOT EXISTS (
          SELECT FROM runs AS r WHERE r.workspace_id = t.workspace_id AND r.id = t.id)
        AND NOT EXISTS (
          SELECT FROM runs AS r WHERE r.workspace_id = t.workspace_id AND r.subject_id = t.id)
        """  # noqa: S608 a constant of this module
    )


async def trim(connection: Connection) -> None:
    """Deletes a slice of the tombstones that were swept long ago."""
    await connection.execute(
        f"""
        DELETE FROM tombstones WHERE (workspace_id, id) IN (
          SELECT workspace_id, id FROM tombstones WHERE swept_at < now() - interval '{KEEP}' LIMIT 1000)
        """  # noqa: S608 the same
    )
