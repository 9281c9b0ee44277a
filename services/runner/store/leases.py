"""Claims of run cases in Postgres: taken with a lease and the next fence, extended, given back; or they expire.

What a claim comes to is written by cases.execute, while its fence holds.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.runner.entities import MAX_EXPIRIES_ALONE, ClaimedCase, Range
from services.runner.store.cases import join_by_hash, ords
from shared import observe
from shared.postgres import Connection

FROZEN = (
    "c.ord, c.case_id, c.repeat, c.question, c.expected, c.test_method, c.passing_score, c.keywords, c.file_url, c.file_mime_type, c.plan"
)
CLAIMED = f"{FROZEN}, c.fence, c.attempts"


def claimed_case(row: asyncpg.Record) -> ClaimedCase:
    """A case from a row of CLAIMED."""
    return ClaimedCase(
        row["ord"],
        row["fence"],
        row["case_id"],
        row["repeat"],
        row["question"],
        row["expected"],
        row["test_method"],
        row["passing_score"],
        tuple(row["keywords"]),
        row["file_url"],
        row["file_mime_type"],
        row["attempts"],
        row["plan"],
    )


async def claim(connection: Connection, run_id: UUID, ranges: Sequence[Range], lease: timedelta) -> list[ClaimedCase]:
    """Takes the queued and expired cases of these ranges, in order. Nothing unless the run is running.

    The rows are locked before they are looked at, so two claims of one case wait for each other and the later finds it leased.
    """
    due = await connection.fetch(
        f"""
        SELECT {FROZEN}, c.fence + 1 AS fence, c.attempts, c.state = 'leased' AS expired FROM run_cases c
        WHERE c.run_id = $1 AND c.ord = ANY($2::int[])
          AND (c.state = 'queued' OR (c.state = 'leased' AND c.lease_until < now()))
          AND EXISTS (SELECT FROM runs WHERE id = $1 AND state = 'running')
        ORDER BY c.ord FOR UPDATE OF c
        """,  # noqa: S608 constants
        run_id,
        ords(ranges),
    )
    await connection.execute(
        """
        UPDATE run_cases SET state = 'leased', fence = fence + 1, lease_until = now() + $4::interval,
               expiries = expiries + (state = 'leased')::int,
               alone = alone + (state = 'leased' AND ord = ANY($3::int[]))::int
        WHERE run_id = $1 AND ord = ANY($2::int[])
        """,
        run_id,
        [row["ord"] for row in due],
        [each.first for each in ranges if each.first == each.last],
        lease,
    )
    observe.LEASES_EXPIRED.inc(sum(row["expired"] for row in due))
    return [claimed_case(row) for row in due]


async def claim_blamed(connection: Connection, run_id: UUID, range_: Range, lease: timedelta) -> list[ClaimedCase]:
    """Takes the expired cases of a ticket if they expired alone too often: their error is about to be written."""
    rows = await connection.fetch(
        f"""
        UPDATE run_cases c SET fence = c.fence + 1, lease_until = now() + $4::interval, state = 'leased'
        WHERE c.run_id = $1 AND c.ord BETWEEN $2 AND $3 AND c.state = 'leased' AND c.lease_until < now()
          AND (c.alone >= $5 OR ($2 < $3 AND c.expiries >= $5))
        RETURNING {CLAIMED}
        """,  # noqa: S608 constants
        run_id,
        range_.first,
        range_.last,
        lease,
        MAX_EXPIRIES_ALONE,
    )
    return sorted((claimed_case(row) for row in rows), key=lambda case: case.ord)


async def renew(connection: Connection, run_id: UUID, fences: Mapping[int, int], lease: timedelta) -> set[int]:
    """Extends the leases of a run's cases, given as ord → fence; returns the ords of those that still hold."""
    await join_by_hash(connection)
    rows = await connection.fetch(
        """
        UPDATE run_cases c SET lease_until = now() + $4::interval
        FROM unnest($2::int[], $3::int[]) AS held (ord, fence)
        WHERE c.run_id = $1 AND c.ord = ANY($2::int[]) AND c.ord = held.ord AND c.fence = held.fence AND c.state = 'leased'
        RETURNING c.ord
        """,
        run_id,
        list(fences),
        list(fences.values()),
        lease,
    )
    return {row["ord"] for row in rows}


async def give_back(connection: Connection, run_id: UUID, fences: Mapping[int, int]) -> None:
    """Queues a run's cases again, given as ord → fence, that a worker claimed and won't execute; no expiry is counted."""
    await join_by_hash(connection)
    await connection.execute(
        """
        UPDATE run_cases c SET state = 'queued', lease_until = NULL
        FROM unnest($2::int[], $3::int[]) AS held (ord, fence)
        WHERE c.run_id = $1 AND c.ord = ANY($2::int[]) AND c.ord = held.ord AND c.fence = held.fence AND c.state = 'leased'
        """,
        run_id,
        list(fences),
        list(fences.values()),
    )


async def expiries(connection: Connection, run_id: UUID, range_: Range) -> int:
    """The most leases that ran out on one case of a range."""
    most: int | None = await connection.fetchval(
        "SELECT max(expiries) FROM run_cases WHERE run_id = $1 AND ord BETWEEN $2 AND $3 AND state IN ('queued', 'leased')",
        run_id,
        range_.first,
        range_.last,
    )
    return most or 0
