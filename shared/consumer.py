"""Hearing a topic: pull, hand over, acknowledge. What never came is fetched in gaps.py.

The handler opens the transaction of the effect and calls `inbox.take` in it, so whatever is delivered twice has one effect.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from shared import observe, tracing
from shared.jetstream import OUTAGES, Broker
from shared.outbox import SEQ_HEADER
from shared.puller import FETCH_SECONDS, FINISH_SECONDS, Puller
from shared.topics import Topic

NAK_SECONDS = 1.0
GIVEN_BACK_SECONDS = 0.1
HAND_ON_SECONDS = 1.0
"""What comes while something is handled waits here for so long at most."""

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
            await handle(hearing, list(once.values()))
            observe.EVENTS_HEARD.labels(hearing.topic.name).inc(len(once))
        except Exception:
            log.exception("an event was not handled", extra={"topic": hearing.topic.name, "events": len(messages)})
            return False
        finally:
            observe.forget_names()
        return True


async def handle(hearing: Hearing, events: Sequence[Received]) -> None:
    """Hands events to the hearing's handler, with what figures, logs and traces name them by; raises what it raises.

    What is retried alone is so named exactly.
    """
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
