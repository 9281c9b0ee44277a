"""The relay on real Postgres and NATS: everything is published, whatever dies meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from assay.runner.internal.v1 import events_pb2
from shared import outbox
from shared.jetstream import Broker
from shared.outbox import Event
from shared.relay import Relay
from shared.topics import RUN_DELETED, TICKETS
from tests.servers import NatsProcess
from tests.shared.hop import PRODUCER, Hop, hop, named, stored
from tests.shared.waiting import until


@pytest.fixture
async def running(ends: tuple[str, str], nats_server: NatsProcess) -> AsyncIterator[Hop]:
    nats_server.wipe()
    async with hop(ends, nats_server.url) as made:
        yield made


async def unpublished(running: Hop) -> int:
    async with running.produced.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL"))


async def until_published(running: Hop, count: int, within: float = 20.0) -> None:
    async def settled() -> bool:
        return await unpublished(running) == 0

    await until(settled, within)
    assert await stored(running.broker) == count


async def leaders(running: Hop) -> list[int]:
    """Postgres's process ids of the connections that hold the relay's lock."""
    query = """SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    async with running.produced.connection() as connection:
        return [row["pid"] for row in await connection.fetch(query)]


async def test_everything_is_published_with_its_number(running: Hop) -> None:
    await running.say(*named(1200))
    await until_published(running, 1200)
    messages = running.broker.jetstream
    for place in (1, 600, 1200):
        found = await messages.get_msg(RUN_DELETED.stream, place)
        assert found.headers is not None
        assert found.headers["Nats-Msg-Id"].endswith(f":{found.headers[outbox.SEQ_HEADER]}")


async def test_a_commit_wakes_the_relay(running: Hop, monkeypatch: pytest.MonkeyPatch) -> None:
    await running.say("first")
    await until_published(running, 1)
    monkeypatch.setattr("shared.relay.POLL_SECONDS", 60.0)
    await asyncio.sleep(0.6)
    await running.say("second")
    await until_published(running, 2, within=5)


async def test_a_commit_elsewhere_wakes_the_one_that_leads(
    running: Hop, ends: tuple[str, str], nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.say("first")
    await until_published(running, 1)
    async with another_relay(ends[0], nats_url) as other:
        monkeypatch.setattr("shared.relay.POLL_SECONDS", 60.0)
        await asyncio.sleep(0.6)
        running.produced.committed = other.wake
        await running.say("second")
        await until_published(running, 2, within=5)


@contextlib.asynccontextmanager
async def another_relay(url: str, nats_url: str) -> AsyncIterator[Relay]:
    broker = Broker(nats_url, "another")
    broker.start()
    relay = Relay(url, PRODUCER, broker)
    running = asyncio.create_task(relay.run())
    await broker.ready()
    yield relay
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await broker.close()


async def test_a_relay_that_hears_news_while_it_is_ended_ends(running: Hop, ends: tuple[str, str]) -> None:
    for turns in range(4):
        relay = Relay(ends[0], "another", running.broker)
        task = asyncio.create_task(relay.run())
        await until(lambda relay=relay: relay._leads)  # type: ignore[misc]
        await asyncio.sleep(0.1)
        relay.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=3)
        assert done


async def test_another_relay_takes_over_when_the_leader_loses_its_connection(running: Hop, ends: tuple[str, str], nats_url: str) -> None:
    async with another_relay(ends[0], nats_url):
        for round_ in range(3):
            await running.say(*named(100, f"{round_} before"))

            async def led() -> bool:
                return len(await leaders(running)) == 1

            await until(led)
            [leader] = await leaders(running)
            async with running.produced.connection() as connection:
                await connection.execute("SELECT pg_terminate_backend($1)", leader)
            await running.say(*named(100, f"{round_} after"))
            await until_published(running, 200 * (round_ + 1))
            assert len(await leaders(running)) == 1
    async with running.produced.connection() as connection:
        seqs = [row["seq"] for row in await connection.fetch("SELECT seq FROM outbox ORDER BY seq")]
    assert seqs == list(range(1, 601))


async def test_what_was_published_and_not_marked_is_published_again_under_the_same_id(running: Hop) -> None:
    await running.say(*named(50))
    await until_published(running, 50)
    async with running.produced.connection() as connection:  # as if it had died between the two
        await connection.execute("UPDATE outbox SET published_at = NULL")
        for leader in await leaders(running):
            await connection.execute("SELECT pg_terminate_backend($1)", leader)
    await until_published(running, 50)


async def test_a_row_that_cannot_be_published_is_parked_and_holds_up_no_other(running: Hop) -> None:
    await running.say("before", "x" * (2 << 20), "after")
    await running.say("later")

    async def settled() -> bool:
        async with running.produced.connection() as connection:
            return bool(await connection.fetchval("SELECT count(published_at) = 3 AND count(parked) = 1 FROM outbox"))

    await until(settled)
    assert await stored(running.broker) == 3


async def test_nats_may_be_away_for_a_while(running: Hop, nats_server: NatsProcess) -> None:
    nats_server.kill()
    await running.say(*named(20))
    await asyncio.sleep(0.5)
    assert await unpublished(running) == 20
    nats_server.start()
    await until_published(running, 20)


async def test_a_stream_that_was_deleted_is_declared_again(running: Hop) -> None:
    await running.say("before")
    await until_published(running, 1)
    await running.broker.jetstream.delete_stream(RUN_DELETED.stream)
    await running.say(*named(30))

    async def settled() -> bool:
        return await unpublished(running) == 0

    await until(settled)
    assert await stored(running.broker) == 30


async def test_tickets_leave_no_row_behind(running: Hop) -> None:
    async with running.produced.transaction() as connection:
        await outbox.append(connection, [Event(TICKETS, events_pb2.Ticket(number=each)) for each in range(10)])

    async def gone() -> bool:
        async with running.produced.connection() as connection:
            return bool(await connection.fetchval("SELECT count(*) = 0 FROM outbox"))

    await until(gone)
    assert (await running.broker.jetstream.stream_info(TICKETS.stream)).state.messages == 10


async def test_a_broker_connects_when_nats_comes(nats_server: NatsProcess) -> None:
    nats_server.wipe()
    nats_server.kill()
    broker = Broker(nats_server.url, "early")
    broker.start()
    await asyncio.sleep(1.2)
    assert not broker.connected
    nats_server.start()
    await asyncio.wait_for(broker.ready(), 10)
    await broker.close()
