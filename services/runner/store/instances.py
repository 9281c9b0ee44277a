"""Live runner processes in Postgres."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from shared.postgres import Connection


@dataclass(frozen=True)
class Instance:
    """A runner whose lease lives."""

    id: UUID
    joined_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True)
class Members:
    """The live runners, oldest first, at a moment of the database's clock."""

    now: datetime
    instances: tuple[Instance, ...]


async def beat(connection: Connection, instance: UUID, name: str, lease: timedelta) -> Members:
    """Joins, or extends the lease of, this process; returns all that live, and removes those that don't."""
    # One after the other: two that join at the same moment would not see each other, and both take the whole limit.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('assay.instances'))")
    await connection.execute(
        """
        INSERT INTO instances (id, name, joined_at, lease_until) VALUES ($1, $2, clock_timestamp(), now() + $3::interval)
        ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until
        """,
        instance,
        name,
        lease,
    )
    await connection.execute("DELETE FROM instances WHERE lease_until < now()")
    rows = await connection.fetch("SELECT now() AS now, id, joined_at, settled_at FROM instances ORDER BY joined_at, id")
    members = tuple(Instance(row["id"], row["joined_at"], row["settled_at"]) for row in rows)
    return Members(rows[0]["now"], members)


async def settle(connection: Connection, instance: UUID, moment: datetime) -> None:
    """Notes that this process's calls fit the shares as they were at a moment."""
    await connection.execute("UPDATE instances SET settled_at = $2 WHERE id = $1", instance, moment)


async def leave(connection: Connection, instance: UUID) -> None:
    """Frees this process's share at once."""
    await connection.execute("DELETE FROM instances WHERE id = $1", instance)
