"""The outbox: every event is a row written in the transaction that it tells of, and one relay per service publishes it.

The relay numbers new rows densely per topic. It never asks for ids greater than the last it saw, since commit order isn't
id order and a late commit would be skipped. Tables: see `services/*/migrations`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
import nats
from google.protobuf.message import Message

from shared import observe, tracing
from shared.jetstream import OUTAGES, Broker
from shared.postgres import OUTAGES as DATABASE_OUTAGES, Connection
from shared.topics import TOPICS, Topic

SEQ_HEADER = "Assay-Seq"
MAX_EVENT_BYTES = 512 * 1024
BATCH = 500
POLL_SECONDS = 0.5
TRIM_EVERY_SECONDS = 60.0
REPORT_EVERY_SECONDS = 5.0
REPORT_ROWS = 10_000
TRIM_ROWS, TRIM_SLICES = 5000, 20

M = TypeVar("M", bound=Message)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """A message for a topic. Of several with the same key only the first is ever published."""

    topic: Topic
    message: Message
    key: str | None = None


def parts_by_size(messages: Iterable[M]) -> Iterator[list[M]]:
    """Consecutive messages that fit into one event: at most 512 KiB together, unless one alone is larger."""
    part: list[M] = []
    size = 0
    for message in messages:
        room = message.ByteSize() + 8
        if part and size + room > MAX_EVENT_BYTES:
            yield part
            part, size = [], 0
        part.append(message)
        size += room
    if part:
        yield part


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
        REPORT_ROWS,
    )
    return (row["many"], row["age"]) if row else (0, 0.0)


def _rows(records: Sequence[asyncpg.Record]) -> list[Row]:
    return [Row(record["id"], TOPICS[record["topic"]], record["seq"], record["payload"]) for record in records]


class Relay:
    """Publishes what the outbox holds. One process of a service does it at a time, the holder of an advisory lock."""

    def __init__(self, url: str, service: str, broker: Broker) -> None:
        self._url, self._service, self._broker = url, service, broker
        self._news = asyncio.Event()
        self._leads = False
        self._told: asyncio.Task[None] | None = None
        self._trimmed_at = 0.0
        self._reported_at = 0.0
        self._undeclared = False

    def wake(self) -> None:
        """Tells the relay, wherever it runs, that a transaction committed. May be lost: it also looks by itself."""
        if self._leads:
            self._news.set()
        elif self._broker.connected and (self._told is None or self._told.done()):
            self._told = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        with contextlib.suppress(*OUTAGES):
            await self._broker.client.publish(self._wake_subject, b"")

    @property
    def _wake_subject(self) -> str:
        return f"assay.wake.{self._service}"

    async def run(self) -> None:
        """Runs until it is cancelled, whatever Postgres and NATS do."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                try:
                    await self._with_connection()
                except (*DATABASE_OUTAGES, *OUTAGES) as outage:
                    log.warning("relay is waiting", extra={"fault": repr(outage)})
                self._leads = False
                for gauge in (observe.OUTBOX_BEHIND, observe.OUTBOX_UNPUBLISHED, observe.OUTBOX_AGE, observe.OUTBOX_PARKED):
                    gauge.set(0)  # whoever leads now tells
                await asyncio.sleep(0.5)
        finally:
            listening.cancel()

    async def _listen(self) -> None:
        await self._broker.ready()

        async def heard(_message: object) -> None:
            self._news.set()

        await self._broker.client.subscribe(self._wake_subject, cb=heard)

    async def _with_connection(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=5, command_timeout=40)
        try:
            # The lock lives as long as its connection: a relay that dies frees it at once.
            while not await connection.fetchval(  # noqa: ASYNC110 another process holds it
                "SELECT pg_try_advisory_lock(hashtext('assay.relay.' || $1))", self._service
            ):
                await asyncio.sleep(1.0)
            await self._lead(connection)
        finally:
            connection.terminate()

    async def _lead(self, connection: asyncpg.Connection) -> None:
        incarnation = await connection.fetchval("SELECT incarnation FROM outbox_incarnation")
        await self._broker.ready()
        self._leads = True
        # No index knows them, and they are few: counted once, and then as they come.
        observe.OUTBOX_PARKED.set(await connection.fetchval("SELECT count(*) FROM outbox WHERE parked IS NOT NULL"))
        behind = True
        while True:
            self._news.clear()
            rows = await unpublished(connection) if behind else []
            # A failed row stays behind and is found again above; it holds up no other.
            fresh = await number(connection)
            done = await self._publish(connection, rows + fresh, incarnation)
            left = len(rows) + len(fresh) - done
            observe.OUTBOX_BEHIND.set(left)
            behind = left > 0 or len(rows) == BATCH
            await self._report(connection)
            if behind and not done:
                await asyncio.sleep(0.25)
            elif not fresh and not behind:
                await self._rest(connection)

    async def _rest(self, connection: asyncpg.Connection) -> None:
        # Not wait_for, which swallows a cancel that comes together with the news: the last commit of a drain did so.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._news.wait()
        now = asyncio.get_running_loop().time()
        if now - self._trimmed_at > TRIM_EVERY_SECONDS:
            self._trimmed_at = now
            await trim(connection)

    async def _report(self, connection: asyncpg.Connection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._reported_at > REPORT_EVERY_SECONDS:
            self._reported_at = now
            count, age = await waiting(connection)
            observe.OUTBOX_UNPUBLISHED.set(count)
            observe.OUTBOX_AGE.set(age)

    async def _publish(self, connection: asyncpg.Connection, rows: Sequence[Row], incarnation: str) -> int:
        """Publishes rows at once and marks those that were acknowledged. Returns how many are settled."""
        outcomes = await asyncio.gather(*(self._send(row, incarnation) for row in rows))
        if self._undeclared:
            self._undeclared = False
            with contextlib.suppress(*OUTAGES):
                await self._broker.declare()
        sent = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome is None]
        parked = [(row.id, outcome) for row, outcome in zip(rows, outcomes, strict=True) if outcome]
        if sent:
            await _mark(connection, sent)
        for row_id, fault in parked:
            log.error("an event can't be published and is parked", extra={"outbox_id": row_id, "fault": fault})
            await connection.execute("UPDATE outbox SET parked = $2 WHERE id = $1", row_id, fault)
            observe.OUTBOX_PARKED.inc()
        return len(sent) + len(parked)

    async def _send(self, row: Row, incarnation: str) -> str | None:
        """None when acknowledged, "" when to be tried again, else why it never will be."""
        headers = {
            "Nats-Msg-Id": f"{row.topic.name}:{incarnation}:{row.seq}",
            SEQ_HEADER: str(row.seq),
        }
        try:
            await self._broker.publish(row.topic, row.payload, headers)
        except nats.errors.MaxPayloadError as fault:
            return repr(fault)
        except nats.js.errors.NoStreamResponseError:
            self._undeclared = True
            return ""
        except OUTAGES:
            return ""
        return None


async def _mark(connection: asyncpg.Connection, rows: Sequence[Row]) -> None:
    # Losing a mark costs one more publication, which the message id or the inbox swallows: no need to wait for the disk.
    kept = [row.id for row in rows if row.topic.consumers]
    work = [row.id for row in rows if not row.topic.consumers]
    async with connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit = off")
        if kept:
            await connection.execute("UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])", kept)
        if work:
            await connection.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", work)


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
