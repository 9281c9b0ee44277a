"""One hop of an event: a producer with its outbox, NATS, and a consumer with its inbox and the effects that it made."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from assay.common.internal.v1 import outbox_pb2_grpc
from assay.runner.internal.v1 import events_pb2
from shared import inbox, outbox
from shared.channels import Authenticated, ServiceIdentity
from shared.consumer import Ear, Hearing, Received
from shared.gaps import GapWatch
from shared.identity import Credential, Identifier, Principal
from shared.interceptors import Boundary
from shared.jetstream import Broker
from shared.outbox import Event
from shared.outbox_service import OutboxServicer
from shared.postgres import Database, open_pool
from shared.relay import Relay
from shared.topics import RUN_DELETED
from tests.shared.waiting import until

TOPIC = RUN_DELETED
SERVICE_KEY = "service key of the tests, 32 bytes and more"
PRODUCER, CONSUMER = "runner", "reporting"


@dataclass
class Hop:
    """The running hop. What is said ends up in the table `effects`, unless its name is in `bad`."""

    produced: Database
    consumed: Database
    broker: Broker
    ear: Ear
    outboxes: dict[str, Authenticated]
    bad: set[str] = field(default_factory=set)
    slow: float = 0.0
    heard: list[Received] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def hearing(self, batch: int = 32, loops: int = 1) -> Hearing:
        return Hearing(TOPIC, self._handle, batch, loops)

    def begin(self, *work: Coroutine[Any, Any, None]) -> None:
        """Runs coroutines until the hop ends."""
        self.tasks += [asyncio.create_task(each) for each in work]

    def watch(self, overdue_after: float = 1.0) -> GapWatch:
        return GapWatch(self.ear, self.consumed, self.outboxes, overdue_after)

    async def say(self, *names: str) -> None:
        async with self.produced.transaction() as connection:
            await outbox.append(connection, [Event(TOPIC, events_pb2.RunDeleted(run_id=name)) for name in names])

    async def _handle(self, events: Sequence[Received]) -> None:
        self.heard += events
        await asyncio.sleep(self.slow)
        if any(event.message.run_id in self.bad for event in events):
            raise ValueError("a bad event")
        async with self.consumed.transaction() as connection:
            fresh = await inbox.take(connection, TOPIC, [event.seq for event in events])
            names = [event.message.run_id for event in events if event.seq in fresh]
            await connection.execute("INSERT INTO effects SELECT unnest($1::text[])", names)

    @property
    def fetched(self) -> list[Received]:
        """What was read from the producer's outbox, since NATS didn't bring it."""
        return [event for event in self.heard if event.deliveries == 0]

    async def effects(self) -> Counter[str]:
        async with self.consumed.connection() as connection:
            return Counter(row["name"] for row in await connection.fetch("SELECT name FROM effects"))

    async def until_effects(self, names: Sequence[str], within: float = 20.0) -> None:
        """Returns once each of the names took effect; AssertionError if one does so twice."""

        async def complete() -> bool:
            found = await self.effects()
            assert not [name for name, times in found.items() if times > 1]
            return found == Counter(names)

        await until(complete, within)

    async def pending(self) -> tuple[int, int]:
        """(messages not yet delivered, messages delivered and not yet acknowledged) of our JetStream consumer."""
        info = await self.broker.jetstream.consumer_info(TOPIC.stream, self.ear.durable(TOPIC))
        return info.num_pending or 0, info.num_ack_pending or 0


@contextlib.asynccontextmanager
async def hop(urls: tuple[str, str], nats_url: str, ack_wait: float = 5.0) -> AsyncIterator[Hop]:
    """A hop between two databases with empty tables of delivery; its relay runs, nothing hears yet."""
    broker = Broker(nats_url, "tests")
    broker.start()
    relay = Relay(urls[0], PRODUCER, broker)
    produced, consumed = Database(await open_pool(urls[0]), relay.wake), Database(await open_pool(urls[1]))
    async with consumed.transaction() as connection:
        await connection.execute("CREATE TABLE effects (name text)")
    async with _served(produced) as outboxes:
        made = Hop(produced, consumed, broker, Ear(CONSUMER, broker, ack_wait), outboxes)
        made.begin(relay.run())
        try:
            await asyncio.wait_for(broker.ready(), 10)
            yield made
        finally:
            for task in made.tasks:
                task.cancel()
            await asyncio.gather(*made.tasks, return_exceptions=True)
            await broker.close()
    await produced.close()
    await consumed.close()


@contextlib.asynccontextmanager
async def _served(database: Database) -> AsyncIterator[dict[str, Authenticated]]:
    """The producer's outbox behind the boundary."""

    async def nobody(_credential: Credential) -> Principal | None:
        return None

    server = grpc.aio.server(interceptors=[Boundary(Identifier((), SERVICE_KEY, nobody))])
    outbox_pb2_grpc.add_OutboxServiceServicer_to_server(OutboxServicer(PRODUCER, database), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield {PRODUCER: Authenticated(outbox_pb2_grpc.OutboxServiceStub(channel), ServiceIdentity(CONSUMER, SERVICE_KEY))}
        await server.stop(None)


async def stored(broker: Broker) -> int:
    """Messages that the stream of events holds."""
    info = await broker.jetstream.stream_info(TOPIC.stream)
    return info.state.messages


def named(count: int, prefix: str = "run") -> list[str]:
    return [f"{prefix} {number}" for number in range(count)]
