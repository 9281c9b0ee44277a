"""Pulling: no more than there is room for, and nothing that arrives is lost."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from shared.jetstream import Broker
from shared.puller import Puller
from shared.topics import TICKETS
from tests.servers import NatsProcess
from tests.shared.waiting import until

DURABLE = "pullers"
ACK_WAIT = 20.0


@pytest.fixture
async def broker(nats_server: NatsProcess) -> AsyncIterator[Broker]:
    nats_server.wipe()
    made = Broker(nats_server.url, "tests")
    made.start()
    await asyncio.wait_for(made.ready(), 10)
    yield made
    await made.close()


def a_puller(broker: Broker) -> Puller:
    return Puller(broker, TICKETS, DURABLE, ACK_WAIT)


async def publish(broker: Broker, *names: str) -> None:
    for name in names:
        await broker.publish(TICKETS, name.encode(), {})


def numbered(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last)]


def names(messages: list[Msg]) -> list[str]:
    return [message.data.decode() for message in messages]


async def outstanding(broker: Broker) -> int:
    """Messages that NATS has delivered and nobody acknowledged."""
    return (await broker.jetstream.consumer_info(TICKETS.stream, DURABLE)).num_ack_pending or 0


async def test_no_more_is_pulled_than_there_is_room_for(broker: Broker) -> None:
    await publish(broker, *numbered(0, 40))
    puller, had = a_puller(broker), list[str]()
    for room in (5, 3, 1, 8, 8, 15):
        messages = await puller.fetch(room, 2)
        assert 1 <= len(messages) <= room
        assert await outstanding(broker) - len(had) <= room
        had += names(messages)
    assert had == numbered(0, len(had))


async def test_nothing_comes_twice_and_nothing_is_left_out(broker: Broker) -> None:
    await publish(broker, *numbered(0, 200))
    pullers, had = [a_puller(broker) for _ in range(3)], list[str]()
    while len(had) < 200:
        for messages in await asyncio.gather(*(puller.fetch(7, 2) for puller in pullers)):
            for message in messages:
                await message.ack()
            had += names(messages)
    assert sorted(had, key=int) == numbered(0, 200)


async def test_an_empty_queue_is_waited_for_and_then_nothing_is_returned(broker: Broker) -> None:
    puller, began = a_puller(broker), asyncio.get_running_loop().time()
    assert await puller.fetch(5, 0.5) == []
    assert 0.4 < asyncio.get_running_loop().time() - began < 10


async def test_what_arrives_while_waiting_is_returned_at_once(broker: Broker) -> None:
    fetching = asyncio.create_task(a_puller(broker).fetch(5, 10))
    await asyncio.sleep(0.3)
    await publish(broker, "x")
    assert names(await asyncio.wait_for(fetching, 8)) == ["x"]


async def test_a_cancelled_fetch_steals_no_message(broker: Broker) -> None:
    puller, had = a_puller(broker), list[str]()
    for number in range(5):
        fetching = asyncio.create_task(puller.fetch(5, 10))
        await asyncio.sleep(0.02 * number)
        fetching.cancel()
        [outcome] = await asyncio.gather(fetching, return_exceptions=True)
        had += names(outcome) if isinstance(outcome, list) else []
        await publish(broker, str(number))
    while len(had) < 5:
        messages = await puller.fetch(5, 2)
        assert messages
        had += names(messages)
    assert had == numbered(0, 5)


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancel_that_comes_together_with_a_message_is_not_swallowed(broker: Broker, turns: int) -> None:
    puller = a_puller(broker)
    assert await puller.fetch(1, 0.2) == []
    fetching = asyncio.create_task(puller.fetch(5, 10))
    await asyncio.sleep(0.1)
    puller._queue.put_nowait(Msg(broker.client, "x", "", b"x"))
    for _ in range(turns):
        await asyncio.sleep(0)
    in_time = fetching.cancel()  # False once it has the message
    await asyncio.wait([fetching])
    assert fetching.cancelled() == in_time
    assert names(await puller.fetch(1, 1) if in_time else fetching.result()) == ["x"]


async def test_a_cancel_that_comes_together_with_an_answer_of_nats_ends_the_task(broker: Broker) -> None:
    async def declare() -> None:
        for _ in range(1000):
            await broker.declare_consumer(TICKETS, DURABLE, ACK_WAIT)

    for _ in range(100):
        declaring = asyncio.create_task(declare())
        await asyncio.sleep(random.uniform(0, 0.003))  # noqa: S311 a moment
        declaring.cancel()
        await asyncio.wait([declaring])
        assert declaring.cancelled()


async def test_what_is_given_back_comes_to_another_at_once(broker: Broker) -> None:
    giving, taking = a_puller(broker), a_puller(broker)
    await publish(broker, *numbered(0, 8))
    kept = await giving.fetch(8, 2)
    await publish(broker, *numbered(8, 12))
    if len(kept) == 8:
        kept += await giving.fetch(1, 2)
    await asyncio.sleep(0.2)
    await giving.give_back()
    had: list[str] = []
    while len(had) + len(kept) < 12:
        messages = await taking.fetch(12, 2)
        assert messages, "lost for a whole ack_wait"
        had += names(messages)


async def test_an_open_request_catches_nothing_once_it_was_given_up(broker: Broker) -> None:
    giving = a_puller(broker)
    fetching = asyncio.create_task(giving.fetch(5, 1))
    await asyncio.sleep(0.3)
    fetching.cancel()
    await asyncio.gather(fetching, return_exceptions=True)
    await giving.give_back()
    await publish(broker, "x")
    assert names(await a_puller(broker).fetch(5, 3)) == ["x"]


async def test_what_comes_while_it_is_given_up_goes_to_another_at_once(broker: Broker) -> None:
    giving, taking = a_puller(broker), a_puller(broker)
    fetching = asyncio.create_task(giving.fetch(5, 3))
    await asyncio.sleep(0.3)
    fetching.cancel()
    leaving = asyncio.create_task(giving.give_back())
    await publish(broker, "x")
    assert names(await taking.fetch(5, 4)) == ["x"]
    await leaving


async def test_a_cancelled_task_gives_back_until_its_last_request_has_ended(broker: Broker) -> None:
    giving, taking = a_puller(broker), a_puller(broker)

    async def work() -> None:
        try:
            await giving.fetch(5, 3)
        finally:
            await giving.give_back()

    working = asyncio.create_task(work())
    await asyncio.sleep(0.3)
    working.cancel()
    await asyncio.sleep(1.5)
    await publish(broker, "x")
    assert names(await taking.fetch(5, 4)) == ["x"]
    await asyncio.gather(working, return_exceptions=True)
    assert not giving._requests.open


async def test_what_comes_after_the_last_status_is_returned_too(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.puller.SETTLE_SECONDS", 4.0)  # far more than the moment below may last on a busy machine
    giving, returned = a_puller(broker), await broker.client.subscribe(acknowledgements := broker.client.new_inbox())
    assert await giving.fetch(5, 0.2) == []

    async def over() -> bool:
        await giving.hand_on()
        return not giving._requests.open

    await until(over)
    leaving = asyncio.create_task(giving.give_back())
    await asyncio.sleep(0.2)  # who doesn't linger has unsubscribed
    # As nats-server 2.11.2 does once the other servers agree.
    await broker.client.publish(f"{giving._inbox}.1", b"x", reply=acknowledgements)
    assert (await returned.next_msg(5)).data == b"-NAK"
    await leaving


async def test_a_consumer_that_is_gone_is_told_and_declared_again(broker: Broker) -> None:
    puller = a_puller(broker)
    assert await puller.fetch(1, 0.2) == []
    await broker.jetstream.delete_stream(TICKETS.stream)
    with pytest.raises(NotFoundError):
        await puller.fetch(1, 1)
    await puller.redeclare()
    await publish(broker, "x")
    had: list[Msg] = []
    while not had:
        with contextlib.suppress(NotFoundError):  # an answer to the request before
            had = await puller.fetch(1, 2)
    assert names(had) == ["x"]


async def test_messages_that_came_before_bad_news_are_not_thrown_away(broker: Broker) -> None:
    await publish(broker, "x")
    puller = a_puller(broker)
    fetching = asyncio.create_task(puller.fetch(2, 5))
    assert names(await fetching) == ["x"]
    await publish(broker, "y")
    await until(lambda: puller._queue.qsize() == 1)
    await broker.jetstream.delete_consumer(TICKETS.stream, DURABLE)
    for _ in range(2):
        await puller._ask(1, 5)
        puller._deadline = 0.0  # as if nothing came in all that time
    await until(lambda: puller._queue.qsize() >= 2)
    assert names(await puller.fetch(5, 2)) == ["y"]
    with pytest.raises(NotFoundError):
        await puller.fetch(5, 2)


async def test_what_was_not_acknowledged_comes_again(broker: Broker) -> None:
    puller = Puller(broker, TICKETS, DURABLE, 0.5)
    await publish(broker, "x")
    assert names(await puller.fetch(1, 2)) == ["x"]
    [again] = await puller.fetch(1, 3)
    assert (again.data, again.metadata.num_delivered) == (b"x", 2)


async def test_a_request_that_died_with_its_server_slows_no_later_one(broker: Broker, nats_server: NatsProcess) -> None:
    puller = a_puller(broker)
    fetching = asyncio.create_task(puller.fetch(8, 2))
    await asyncio.sleep(0.3)  # it is open now
    await asyncio.to_thread(nats_server.kill)
    await asyncio.to_thread(nats_server.start)
    assert await fetching == []
    await until(lambda: broker.connected)
    await publish(broker, *numbered(0, 400))
    had: list[str] = []
    async with asyncio.timeout(20):  # a moment; were each request waited out, it would be two minutes
        while len(had) < 400:
            with contextlib.suppress(NotFoundError):
                had += names(await puller.fetch(8, 2))
    await puller.give_back()
