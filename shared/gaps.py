"""What NATS lost of a topic: numbers that the inbox misses for too long are fetched from the producer's outbox.

What is fetched goes to the same handlers as what was heard, so whatever comes both ways has one effect.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence

from assay.common.internal.v1 import outbox_pb2
from shared import inbox, observe
from shared.channels import Authenticated
from shared.consumer import Ear, Hearing, Received, handle
from shared.postgres import Connection, Database
from shared.topics import Topic

WATCH_SECONDS = 2.0
OVERDUE_SECONDS = 15.0
SURELY_LOST_SECONDS = 600.0
TRIM_SECONDS = 60.0
READ_AT_ONCE = 200

log = logging.getLogger(__name__)


class GapWatch:
    """Fetches from the producers' outboxes what NATS lost: behind what is fresh, and only what stays missing for 15 s."""

    def __init__(self, ear: Ear, database: Database, outboxes: Mapping[str, Authenticated], overdue_after: float = OVERDUE_SECONDS) -> None:
        self._ear, self._database, self._outboxes, self._overdue_after = ear, database, outboxes, overdue_after
        self._seen: dict[tuple[str, int], float] = {}
        self._trims: dict[str, float] = {}

    async def watch(self, hearings: Sequence[Hearing]) -> None:
        """Looks every 2 s until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for hearing in hearings:
                try:
                    await self.look(hearing)
                except Exception as fault:  # noqa: BLE001 Postgres, NATS or the producer away: looked at again in 2 s
                    log.warning("gap watch is waiting", extra={"topic": hearing.topic.name, "fault": repr(fault)[:300]})

    async def look(self, hearing: Hearing) -> None:
        """One look at one topic."""
        topic = hearing.topic
        async with self._database.connection() as connection:
            upto = await inbox.watermark(connection, topic)
            await self._trim(connection, topic)
        stub = self._outboxes[topic.producer]
        request = outbox_pb2.HeadRequest(topic=topic.name, consumer=self._ear.service, watermark=upto)
        upto, head = await self._past_holes(topic, upto, await stub.Head(request, timeout=5))
        observe.CONSUMER_LAG.labels(topic.name).set(max(0, head - upto))
        if head <= upto:
            self._forget(topic, [])
            return
        async with self._database.connection() as connection:
            absent = await inbox.missing(connection, topic, head)
        overdue = await self._overdue(topic, absent)
        if overdue:
            log.warning("fetching lost events", extra={"topic": topic.name, "events": len(overdue)})
            await self._fetch(hearing, overdue)

    async def _past_holes(self, topic: Topic, upto: int, told: outbox_pb2.HeadResponse) -> tuple[int, int]:
        """The watermark, beyond the holes that it has come to, and the number up to which nothing may be missing."""
        for hole in told.holes:
            if upto < hole.after:
                return upto, hole.after  # what both histories share comes first
            if upto < hole.upto:
                upto = hole.upto
                async with self._database.connection() as connection:
                    await inbox.skip(connection, topic, upto)
        return upto, told.head

    async def _trim(self, connection: Connection, topic: Topic) -> None:
        now = asyncio.get_running_loop().time()
        if now > self._trims.get(topic.name, 0.0):
            self._trims[topic.name] = now + TRIM_SECONDS
            await inbox.trim(connection, topic)

    async def _overdue(self, topic: Topic, absent: Sequence[int]) -> list[int]:
        now = asyncio.get_running_loop().time()
        self._forget(topic, absent)
        ages = {seq: now - self._seen.setdefault((topic.name, seq), now) for seq in absent}
        if not any(age >= self._overdue_after for age in ages.values()):
            return []
        # A slow judge is no gap: what NATS still holds for us will come.
        idle = await self._ear.broker.nothing_under_way(topic, self._ear.durable(topic))
        limit = self._overdue_after if idle else SURELY_LOST_SECONDS
        return [seq for seq, age in ages.items() if age >= limit]

    def _forget(self, topic: Topic, absent: Sequence[int]) -> None:
        still = set(absent)
        for name, seq in [key for key in self._seen if key[0] == topic.name and key[1] not in still]:
            del self._seen[name, seq]

    async def _fetch(self, hearing: Hearing, seqs: Sequence[int]) -> None:
        for part in _spans(seqs):
            wanted = set(part)
            request = outbox_pb2.ReadOutboxRequest(topic=hearing.topic.name, from_seq=part[0], to_seq=part[-1])
            events = self._outboxes[hearing.topic.producer].ReadOutbox(request, timeout=30)
            found = [event async for event in events if event.seq in wanted]
            observe.EVENTS_FETCHED.labels(hearing.topic.name).inc(len(found))
            await self._handle(found, hearing)

    async def _handle(self, events: Sequence[outbox_pb2.OutboxEvent], hearing: Hearing) -> None:
        """In batches; if one fails one by one, so that here too a bad event holds up no other."""
        for start in range(0, len(events), hearing.batch):
            batch = events[start : start + hearing.batch]
            if await _fetched(batch, hearing) or len(batch) == 1:
                continue
            for event in batch:
                await _fetched([event], hearing)


async def _fetched(events: Sequence[outbox_pb2.OutboxEvent], hearing: Hearing) -> bool:
    try:
        await handle(hearing, [Received(event.seq, hearing.topic.message.FromString(event.payload)) for event in events])
    except Exception:
        log.exception("a fetched event was not handled", extra={"topic": hearing.topic.name, "events": len(events)})
        return False
    finally:
        observe.forget_names()
    return True


def _spans(seqs: Sequence[int]) -> Iterator[list[int]]:
    """Ascending numbers in parts that each lie close together: what lies between them is read too."""
    part: list[int] = []
    for seq in seqs:
        if part and seq - part[0] >= READ_AT_ONCE:
            yield part
            part = []
        part.append(seq)
    if part:
        yield part
