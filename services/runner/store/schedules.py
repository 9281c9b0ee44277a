"""Schedules in Postgres."""

from datetime import datetime
from uuid import UUID

from services.runner.schedules import Schedule
from shared.postgres import Connection

COLUMNS = "workspace_id, family, subject_id, cron, revision, next_at"


async def put(connection: Connection, schedule: Schedule) -> None:
    """Remembers a schedule, unless a newer revision of it is known."""
    await connection.execute(
        """
        INSERT INTO schedules AS known (workspace_id, family, subject_id, cron, revision, next_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (workspace_id, family, subject_id) DO UPDATE
          SET cron = excluded.cron, revision = excluded.revision, next_at = excluded.next_at
          WHERE known.revision < excluded.revision
        """,
        schedule.workspace_id,
        schedule.family,
        schedule.subject_id,
        schedule.cron,
        schedule.revision,
        schedule.next_at,
    )


async def due(connection: Connection, now: datetime, most: int) -> list[Schedule]:
    """What is to fire by now, the longest overdue first."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM schedules WHERE next_at <= $1 ORDER BY next_at LIMIT $2",  # noqa: S608 constants
        now,
        most,
    )
    return [Schedule(**row) for row in rows]


async def move_on(connection: Connection, schedule: Schedule, next_at: datetime | None) -> bool:
    """Whether this moved the schedule on from where it stood: of several that fire it at once, one alone does."""
    return bool(
        await connection.fetchval(
            """
            UPDATE schedules SET next_at = $6
            WHERE workspace_id = $1 AND family = $2 AND subject_id = $3 AND revision = $4 AND next_at = $5
            RETURNING true
            """,
            schedule.workspace_id,
            schedule.family,
            schedule.subject_id,
            schedule.revision,
            schedule.next_at,
            next_at,
        )
    )


async def end(connection: Connection, workspace: UUID, family: str, subject_id: str) -> None:
    """A schedule of what is gone fires no more."""
    await connection.execute(
        "UPDATE schedules SET next_at = NULL WHERE workspace_id = $1 AND family = $2 AND subject_id = $3", workspace, family, subject_id
    )
