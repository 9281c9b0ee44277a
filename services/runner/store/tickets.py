"""Tickets in Postgres."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.runner.entities import Range, Ticket
from shared.postgres import Connection

FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(seconds=600)


def _ticket(row: asyncpg.Record) -> Ticket:
    return Ticket(row["run_id"], row["number"], Range(row["first_ord"], row["last_ord"]), row["epoch"])


async def insert(connection: Connection, tickets: Sequence[Ticket]) -> None:
    """Remembers tickets that are issued in this transaction."""
    await connection.execute(
        """
        INSERT INTO tickets (run_id, number, first_ord, last_ord)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[])
        """,
        [ticket.run_id for ticket in tickets],
        [ticket.number for ticket in tickets],
        [ticket.range.first for ticket in tickets],
        [ticket.range.last for ticket in tickets],
    )


async def count(connection: Connection) -> int:
    """How many there are."""
    found: int = await connection.fetchval("SELECT count(*) FROM tickets")
    return found


async def delete_done(connection: Connection, run_id: UUID, numbers: Sequence[int]) -> int:
    """Deletes tickets whose every case was executed, as the caller has seen; how many are out after that."""
    await connection.execute("DELETE FROM tickets WHERE run_id = $1 AND number = ANY($2::int[])", run_id, list(numbers))
    out: int = await connection.fetchval("SELECT count(*) FROM tickets WHERE run_id = $1", run_id)
    return out


async def delete(connection: Connection, run_id: UUID) -> None:
    """Deletes all tickets of a run."""
    await connection.execute("DELETE FROM tickets WHERE run_id = $1", run_id)


async def delete_one(connection: Connection, ticket: Ticket) -> None:
    """Deletes one ticket."""
    await connection.execute("DELETE FROM tickets WHERE run_id = $1 AND number = $2", ticket.run_id, ticket.number)


async def overdue(connection: Connection, limit: int) -> list[Ticket]:
    """Tickets without a live lease that were issued longer ago than 15 s, 30 s, 60 s … 600 s, by epoch; locked.

    Tickets that another reconciler looks at right now are skipped.
    """
    rows = await connection.fetch(
        """
        SELECT t.run_id, t.number, t.first_ord, t.last_ord, t.epoch FROM tickets t
        WHERE t.issued_at < now() - least($1::interval * power(2, least(t.epoch, 10) - 1), $2::interval)
          AND NOT EXISTS (
            SELECT FROM run_cases c WHERE c.run_id = t.run_id AND c.ord BETWEEN t.first_ord AND t.last_ord
              AND c.state = 'leased' AND c.lease_until >= now())
        ORDER BY t.issued_at LIMIT $3 FOR UPDATE OF t SKIP LOCKED
        """,
        FIRST_WAIT,
        LONGEST_WAIT,
        limit,
    )
    return [_ticket(row) for row in rows]


async def reissue(connection: Connection, ticket: Ticket) -> None:
    """Counts one more issue of a ticket."""
    await connection.execute(
        "UPDATE tickets SET epoch = epoch + 1, issued_at = now() WHERE run_id = $1 AND number = $2", ticket.run_id, ticket.number
    )
