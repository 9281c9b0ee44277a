"""The inbox: what makes every event take effect once, and shows every gap.

A consumer writes an event's number in the transaction of its effect; a number that is there already has no effect again.
"""

from collections.abc import Sequence

from shared.postgres import Connection
from shared.topics import Topic

# A number stays well longer than any transaction may last: a row deleted while one is open could be taken twice.
KEEP = "1 hour"


async def take(connection: Connection, topic: Topic, seqs: Sequence[int]) -> set[int]:
    """Claims numbers for the caller's transaction. Returns those that had no effect before."""
    rows = await connection.fetch(
        """
        INSERT INTO inbox (topic, seq)
        SELECT $1, wanted FROM unnest($2::bigint[]) AS wanted
        WHERE wanted > coalesce((SELECT watermark FROM inbox_watermarks WHERE topic = $1), 0)
        ORDER BY wanted
        ON CONFLICT DO NOTHING
        RETURNING seq
        """,
        topic.name,
        list(seqs),
    )
    return {row["seq"] for row in rows}


async def untaken(connection: Connection, topic: Topic, seqs: Sequence[int]) -> set[int]:
    """Which numbers had no effect yet; a cheap look before work that happens outside the transaction."""
    rows = await connection.fetch(
        """
        SELECT wanted FROM unnest($2::bigint[]) AS wanted
        WHERE wanted > coalesce((SELECT watermark FROM inbox_watermarks WHERE topic = $1), 0)
          AND NOT EXISTS (SELECT FROM inbox WHERE topic = $1 AND seq = wanted)
        """,
        topic.name,
        list(seqs),
    )
    return {row["wanted"] for row in rows}


async def watermark(connection: Connection, topic: Topic) -> int:
    """Moves the watermark over everything that is there without a gap, and returns it."""
    moved = await connection.fetchval(
        """
        WITH known AS (
          SELECT coalesce((SELECT watermark FROM inbox_watermarks WHERE topic = $1), 0) AS upto
        ), numbered AS (
          SELECT seq, seq - row_number() OVER (ORDER BY seq) AS shift
          FROM inbox, known WHERE topic = $1 AND seq > known.upto
        )
        SELECT coalesce((SELECT max(seq) FROM numbered, known WHERE shift = known.upto), (SELECT upto FROM known))
        """,
        topic.name,
    )
    await connection.execute(
        """
        INSERT INTO inbox_watermarks AS known (topic, watermark) VALUES ($1, $2)
        ON CONFLICT (topic) DO UPDATE SET watermark = excluded.watermark WHERE known.watermark < excluded.watermark
        """,
        topic.name,
        moved,
    )
    return int(moved)


async def skip(connection: Connection, topic: Topic, upto: int) -> None:
    """Moves the watermark over numbers that were never given."""
    await connection.execute(
        "UPDATE inbox_watermarks SET watermark = $2 WHERE topic = $1 AND watermark < $2",
        topic.name,
        upto,
    )


async def missing(connection: Connection, topic: Topic, head: int, limit: int = 5000) -> list[int]:
    """Numbers up to `head` that had no effect yet, lowest first."""
    rows = await connection.fetch(
        """
        SELECT wanted FROM generate_series(
          coalesce((SELECT watermark FROM inbox_watermarks WHERE topic = $1), 0) + 1, $2::bigint) AS wanted
        WHERE NOT EXISTS (SELECT FROM inbox WHERE topic = $1 AND seq = wanted) ORDER BY wanted LIMIT $3
        """,
        topic.name,
        head,
        limit,
    )
    return [row["wanted"] for row in rows]


async def trim(connection: Connection, topic: Topic) -> None:
    """Deletes a slice of the numbers that the watermark passed long ago."""
    await connection.execute(
        f"""
        DELETE FROM inbox WHERE topic = $1 AND seq IN (
          SELECT seq FROM inbox WHERE topic = $1 AND taken_at < now() - interval '{KEEP}'
            AND seq <= (SELECT watermark FROM inbox_watermarks WHERE topic = $1)
          ORDER BY seq LIMIT 20000)
        """,  # noqa: S608 a constant of this module
        topic.name,
    )
