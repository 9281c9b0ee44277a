"""Hearing a topic: pull, hand over, acknowledge; and fetch from the producer's outbox what never came.

The handler opens the transaction of the effect and calls `inbox.take` in it, so whatever is delivered twice has one effect.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from assay.common.internal.v1 import outbox_pb2
from shared import inbox, observe, tracing
from shared.channels import Authenticated
from shared.jetstream import OUTAGES, Broker
from shared.outbox import SEQ_HEADER
from shared.postgres import Connection, Database
from shared.puller import FETCH_SECONDS, FINISH_SECONDS, Puller
from shared.topics import Topic

NAK_SECONDS = 1.0
GIVEN_BACK_SECONDS = 0.1
HAND_ON_SECONDS = 1.0
"""What comes while something is handled waits here for so long at most."""
WATCH_SECONDS = 2.0
OVERDUE_SECONDS = 15.0
SURELY_LOST_SECONDS = 600.0
TRIM_SECONDS = 60.0
READ_AT_ONCE = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Received:
    """An event as it was heard: its number in its topic, its message, and how often NATS delivered it (0: read from an outbox)."""

    seq: int
    message: Any
    deliveries: int = 0


Handler = Callable[[Sequence[Received]], Awaitable[None]]


@dataclass(frozen=True)
class Hearing:
    """What a service does with a topic: `handle` gets up to `batch` events at once, in `loops` loops side by side."""

    topic: Topic
    handle: Handler
    batch: int = 32
    loops: int = 1


@dataclass(frozen=True)
class Ear:
    """The consuming end of one service: its name, and what it hears with."""

    service: str
    broker: Broker
    ack_wait: float

    def durable(self, topic: Topic) -> str:
        """The name of the JetStream consumer, shared by all processes of the service."""
        return f"{self.service}-{topic.name.replace('.', '-')}"

    async def hear(self, hearing: Hearing) -> None:
        """Consumes until cancelled, whatever NATS and Postgres do."""
        async with asyncio.TaskGroup() as loops:  # gather would end with the first of them that is cancelled
            for _ in range(hearing.loops):
                loops.create_task(self._loop(hearing))

    async def _loop(self, hearing: Hearing) -> None:
        puller = Puller(self.broker, hearing.topic, self.durable(hearing.topic), self.ack_wait)
        delay = 0.1
        try:
            while True:
                try:
                    messages = await puller.fetch(hearing.batch, FETCH_SECONDS)
                    await _to_the_end(self._deliver(hearing, messages), puller)
                    delay = 0.1
                except NotFoundError:
                    with contextlib.suppress(*OUTAGES):
                        await puller.redeclare()
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, 2.0)
                except OUTAGES as outage:
                    log.warning("hearing is waiting", extra={"topic": hearing.topic.name, "fault": repr(outage)})
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, 2.0)
        finally:
            await puller.give_back()

    async def _deliver(self, hearing: Hearing, messages: list[Msg]) -> None:
        """All at once in one transaction; if that fails one by one, so that one bad event holds up no other."""
        if not messages:
            return
        async with _kept_alive(messages, self.ack_wait):
            try:
                if await self._handled(hearing, messages):
                    await _ack(messages)
                    return
                for message in messages:
                    if len(messages) > 1 and await self._handled(hearing, [message]):
                        await _ack([message])
                    else:
                        await _nak([message], NAK_SECONDS)
            except asyncio.CancelledError:
                await _nak([message for message in messages if not message.is_acked], GIVEN_BACK_SECONDS)
                raise

    async def _handled(self, hearing: Hearing, messages: list[Msg]) -> bool:
        try:
            # One number may come twice in a batch, and both would find it fresh.
            once = {event.seq: event for event in (_received(hearing.topic, message) for message in messages)}
            await _handle(hearing, list(once.values()))
            observe.EVENTS_HEARD.labels(hearing.topic.name).inc(len(once))
        except Exception:
            log.exception("an event was not handled", extra={"topic": hearing.topic.name, "events": len(messages)})
            return False
        finally:
            observe.forget_names()
        return True


async def _handle(hearing: Hearing, events: Sequence[Received]) -> None:
    """With what logs and traces name them by. What is retried alone is so named exactly."""
    topic, messages = hearing.topic.name, [event.message for event in events]
    if len({tracing.run_of(message) for message in messages}) == 1:
        observe.name(run_id=tracing.run_of(messages[0]), workspace_id=tracing.workspace_of(messages[0]))
    with (
        observe.EVENT_SECONDS.labels(topic).time(),
        observe.EVENTS_FAILED.labels(topic).count_exceptions(),
        tracing.hearing(topic, messages),
    ):
        await hearing.handle(events)


def _received(topic: Topic, message: Msg) -> Received:
    seq = int((message.headers or {})[SEQ_HEADER])
    return Received(seq, topic.message.FromString(message.data), message.metadata.num_delivered or 0)


async def _ack(messages: Sequence[Msg]) -> None:
    with contextlib.suppress(*OUTAGES):  # not acknowledged: delivered again, without effect
        for message in messages:
            await message.ack()


async def _nak(messages: Sequence[Msg], seconds: float) -> None:
    with contextlib.suppress(*OUTAGES):
        for message in messages:
            await message.nak(delay=seconds)


async def _to_the_end(delivering: Coroutine[Any, Any, None], puller: Puller) -> None:
    """Cancelled, it lets what was begun end: a judge has been paid, or the transaction is about to commit. All else is given back."""
    task = asyncio.create_task(delivering)
    try:
        while not (await asyncio.wait({task}, timeout=HAND_ON_SECONDS))[0]:
            await puller.hand_on()
    except asyncio.CancelledError:
        await asyncio.gather(puller.give_back(), asyncio.wait({task}, timeout=FINISH_SECONDS))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    task.result()


@contextlib.asynccontextmanager
async def _kept_alive(messages: Sequence[Msg], ack_wait: float) -> AsyncIterator[None]:
    async def extend() -> None:
        while True:
            await asyncio.sleep(ack_wait / 3)
            with contextlib.suppress(*OUTAGES):
                for message in messages:
                    if not message.is_acked:
                        await message.in_progress()

    task = asyncio.create_task(extend())
    try:
        yield
    finally:
        task.cancel()


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
                except asyncio.CancelledError:
                    raise
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
        await _handle(hearing, [Received(event.seq, hearing.topic.message.FromString(event.payload)) for event in events])
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
