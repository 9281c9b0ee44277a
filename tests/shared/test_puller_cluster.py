"""Giving back in a cluster of NATS servers, where the one that leads a consumer learns late who has gone."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from shared.jetstream import OUTAGES, Broker, StreamSettings
from shared.puller import Puller
from shared.topics import TICKETS
from tests.cluster import nats
from tests.shared.waiting import until

ACK_WAIT = 60.0
ROUNDS = 25
LONG_ENOUGH = 20.0
AT_ONCE = 0.05


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[tuple[Broker, Broker]]:
    """Two connections, each to a server of its own."""
    with nats.running(tmp_path, secrets.token_hex(8)) as cluster:
        made = [Broker(node.server.url, node.name, StreamSettings(3)) for node in cluster.nodes[:2]]
        for broker in made:
            broker.start()
        for broker in made:
            await asyncio.wait_for(broker.ready(), 30)
        yield made[0], made[1]
        for broker in made:
            await broker.close()


class Crew:
    """Pullers that acknowledge what they get, and what they got."""

    def __init__(self) -> None:
        self.had: set[str] = set()

    async def work(self, puller: Puller) -> None:
        """Until cancelled, and never in the middle of a batch."""
        while True:
            try:
                messages = await puller.fetch(8, 1)
            except NotFoundError:  # a consumer that was just declared has no leader yet
                await asyncio.sleep(AT_ONCE)
                continue
            taking = asyncio.create_task(self._take(messages))
            try:
                await asyncio.shield(taking)
            except asyncio.CancelledError:
                await taking
                raise

    async def _take(self, messages: Sequence[Msg]) -> None:
        for message in messages:
            await message.ack()
            self.had.add(message.data.decode())


async def publish_until(stop: asyncio.Event, broker: Broker) -> set[str]:
    sent = set[str]()
    while not stop.is_set():
        name = str(len(sent))
        with contextlib.suppress(*OUTAGES):
            await broker.publish(TICKETS, name.encode(), {})
            sent.add(name)
    return sent


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.timeout(180)
async def test_pullers_that_come_and_go_leave_no_message_to_wait_for(brokers: tuple[Broker, Broker]) -> None:
    going, staying = brokers
    crew, stop = Crew(), asyncio.Event()
    steady = asyncio.create_task(crew.work(Puller(staying, TICKETS, "crew", ACK_WAIT)))
    publishing = asyncio.create_task(publish_until(stop, going))
    enough = asyncio.get_running_loop().time() + LONG_ENOUGH
    for _ in range(ROUNDS):
        if asyncio.get_running_loop().time() > enough:  # on a machine that is busy with other tests
            break
        puller = Puller(going, TICKETS, "crew", ACK_WAIT)
        working = asyncio.create_task(crew.work(puller))
        await asyncio.sleep(random.uniform(AT_ONCE, 4 * AT_ONCE))  # noqa: S311 a moment
        await ended(working)
        await puller.give_back()
    stop.set()
    sent = await publishing
    await until(lambda: crew.had >= sent, within=ACK_WAIT / 2)  # what nobody holds comes within moments, lost ones after ACK_WAIT
    await ended(steady)
