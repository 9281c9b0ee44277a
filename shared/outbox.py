"""The outbox: every event is a row written in the transaction that it tells of, until shared/relay.py has published it.

New rows are numbered densely per topic. Nobody asks for ids greater than the last that was seen, since commit order isn't
id order and a late commit would be skipped. Tables: see `services/*/migrations`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
from google.protobuf.message import Message

from shared import tracing
from shared.portions import portions
from shared.postgres import Connection
from shared.topics import TOPICS, Topic

SEQ_HEADER = "Assay-Seq"
MAX_EVENT_BYTES = 512 * 1024
BATCH = 500
WAITING_ROWS = 10_000
TRIM_ROWS, TRIM_SLICES = 5000, 20

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Event:
    """A message for a topic. Of several with the same key only the first is ever published."""

    topic: Topic
    message: Message
    key: str | None = None


def parts_by_size(messages: Iterable[M]) -> Iterator[list[M]]:
    """Consecutive messages that fit into one event: at most 512 KiB together, unless one alone is larger."""
    return portions(messages, lambda message: message.ByteSize() + 8, MAX_EVENT_BYTES)


@dataclass(frozen=True)
class Row:
    """A numbered row of the outbox."""

    id: int
    topic: Topic
    seq: int
    payload: bytes


async def append(connection: Connection, events: Sequence[Event]) -> None:
    """Writes events in the caller's transaction, each with the trace that it belongs to."""
    for event in events:
        tracing.stamp(event.message)
    await connection.execute(
        """
        INSERT INTO outbox (topic, payload, key)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[])
        ON CONFLICT (key) DO NOTHING
        """,
        [event.topic.name for event in events],
        [event.message.SerializeToString() for event in events],
        [event.key for event in events],
    )


async def trace_of(connection: Connection, topic: Topic, key: str) -> str:
    """The trace of an event by its key; "" without, and once its row was trimmed."""
    if not tracing.on():
        return ""
    payload = await connection.fetchval("SELECT payload FROM outbox WHERE key = $1", key)
    return str(topic.message.FromString(payload).trace) if payload else ""  # type: ignore[attr-defined]  # every topic's message has it


async def number(connection: Connection) -> list[Row]:
    """Gives new rows their numbers, and returns them. Only the holder of the relay's lock may call this."""
    rows = await connection.fetch(
        """
        WITH fresh AS (
          SELECT id, topic,
                 row_number() OVER (PARTITION BY topic ORDER BY id) AS place,
                 count(*) OVER (PARTITION BY topic) AS many
          FROM (SELECT id, topic FROM outbox WHERE seq IS NULL ORDER BY id LIMIT $1) AS batch
        ), heads AS (
          INSERT INTO outbox_heads AS known (topic, head)
          SELECT topic, many FROM fresh GROUP BY topic, many
          ON CONFLICT (topic) DO UPDATE SET head = known.head + excluded.head
          RETURNING topic, head
        )
        UPDATE outbox SET seq = heads.head - fresh.many + fresh.place
        FROM fresh JOIN heads USING (topic)
        WHERE outbox.id = fresh.id
        RETURNING outbox.id, outbox.topic, outbox.seq, outbox.payload
        """,
        BATCH,
    )
    return _rows(rows)


async def unpublished(connection: Connection) -> list[Row]:
    """Numbered rows that NATS hasn't acknowledged, oldest first."""
    return _rows(
        await connection.fetch(
            """
            SELECT id, topic, seq, payload FROM outbox
            WHERE published_at IS NULL AND seq IS NOT NULL AND parked IS NULL ORDER BY id LIMIT $1
            """,
            BATCH,
        )
    )


async def waiting(connection: Connection) -> tuple[int, float]:
    """How many rows are to be published, up to 10,000 of either kind, and the age of the oldest in seconds."""
    row = await connection.fetchrow(
        """
        SELECT count(*) AS many, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age FROM (
          (SELECT created_at FROM outbox WHERE seq IS NULL ORDER BY id LIMIT $1)
          UNION ALL
          (SELECT created_at FROM outbox WHERE published_at IS NULL AND seq IS NOT NULL AND parked IS NULL ORDER BY id LIMIT $1)
        ) AS waiting
        """,
        WAITING_ROWS,
    )
    return (row["many"], row["age"]) if row else (0, 0.0)


def _rows(records: Sequence[asyncpg.Record]) -> list[Row]:
    return [Row(record["id"], TOPICS[record["topic"]], record["seq"], record["payload"]) for record in records]


async def mark(connection: Connection, rows: Sequence[Row]) -> None:
    """Remembers that NATS acknowledged these rows; work, which nobody reads again, goes at once."""
    # Losing a mark costs one more publication, which the message id or the inbox swallows: no need to wait for the disk.
    kept = [row.id for row in rows if row.topic.consumers]
    work = [row.id for row in rows if not row.topic.consumers]
    async with connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit = off")
        if kept:
            await connection.execute("UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])", kept)
        if work:
            await connection.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", work)


async def park(connection: Connection, row_id: int, fault: str) -> None:
    """Puts aside a row that never can be published, with the reason."""
    await connection.execute("UPDATE outbox SET parked = $2 WHERE id = $1", row_id, fault)


async def parked(connection: Connection) -> int:
    """How many rows were put aside. No index knows them, and they are few: the whole table is read."""
    return await connection.fetchval("SELECT count(*) FROM outbox WHERE parked IS NOT NULL") or 0


async def incarnation(connection: Connection) -> str:
    """What tells this outbox from any that NATS heard of before, as from the one that a backup was made of."""
    return str(await connection.fetchval("SELECT incarnation FROM outbox_incarnation"))


async def trim(connection: Connection) -> None:
    """Deletes slices of the rows that every consumer has passed, a day after they were written at the earliest."""
    for topic in TOPICS.values():
        slices = TRIM_SLICES if topic.consumers else 0
        while slices and await _trim_slice(connection, topic) == TRIM_ROWS:
            slices -= 1


async def _trim_slice(connection: Connection, topic: Topic) -> int:
    status = await connection.execute(
        """
        DELETE FROM outbox WHERE id IN (
          SELECT id FROM outbox
          WHERE topic = $1 AND created_at < now() - interval '24 hours' AND seq <= (
            SELECT CASE WHEN count(*) = cardinality($2::text[]) THEN min(watermark) ELSE 0 END
            FROM outbox_readers WHERE topic = $1 AND consumer = ANY($2::text[]))
          ORDER BY id LIMIT $3)
        """,
        topic.name,
        list(topic.consumers),
        TRIM_ROWS,
    )
    return int(status.rpartition(" ")[2])


async def head(connection: Connection, topic: str) -> int:
    """The newest number of a topic; 0 when there is none."""
    return await connection.fetchval("SELECT head FROM outbox_heads WHERE topic = $1", topic) or 0


async def holes(connection: Connection, topic: str) -> list[tuple[int, int]]:
    """Where numbering jumped, ascending: (the last number before, the last number of the hole); see shared/restored.py."""
    rows = await connection.fetch("SELECT after, upto FROM outbox_holes WHERE topic = $1 ORDER BY after", topic)
    return [(row["after"], row["upto"]) for row in rows]


async def note_reader(connection: Connection, topic: str, consumer: str, watermark: int) -> None:
    """Remembers how far a consumer has read; never backwards."""
    await connection.execute(
        """
        INSERT INTO outbox_readers AS known (topic, consumer, watermark) VALUES ($1, $2, $3)
        ON CONFLICT (topic, consumer) DO UPDATE SET watermark = excluded.watermark
        WHERE known.watermark < excluded.watermark
        """,
        topic,
        consumer,
        watermark,
    )


async def read(connection: Connection, topic: str, first: int, last: int) -> list[tuple[int, bytes]]:
    """Numbers and payloads of a range of a topic, in order."""
    rows = await connection.fetch(
        "SELECT seq, payload FROM outbox WHERE topic = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq", topic, first, last
    )
    return [(row["seq"], row["payload"]) for row in rows]
