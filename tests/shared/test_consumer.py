"""Hearing over real NATS and Postgres: every event has one effect, whatever NATS does to it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from assay.runner.internal.v1 import events_pb2
from shared import consumer, inbox
from shared.consumer import Received
from shared.outbox import SEQ_HEADER
from tests.servers import NatsProcess
from tests.shared.hop import TOPIC, Hop, hop, named
from tests.shared.waiting import until


@pytest.fixture
async def running(ends: tuple[str, str], nats_server: NatsProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hop]:
    monkeypatch.setattr(consumer, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(consumer, "NAK_SECONDS", 0.2)
    nats_server.wipe()
    async with hop(ends, nats_server.url) as made:
        yield made


def fetched(running: Hop) -> list[Received]:
    """What was read from the producer's outbox, since NATS didn't bring it."""
    return [event for event in running.heard if event.deliveries == 0]


async def until_nothing_is_under_way(running: Hop) -> None:
    async def idle() -> bool:
        return await running.pending() == (0, 0)

    await until(idle)


async def test_everything_said_takes_effect_and_is_acknowledged(running: Hop) -> None:
    running.begin(running.ear.hear(running.hearing(loops=2)), running.watch().watch([running.hearing()]))
    await running.say(*named(300))
    await running.until_effects(named(300))
    await until_nothing_is_under_way(running)
    assert not fetched(running)


async def test_what_is_delivered_many_times_has_one_effect(running: Hop) -> None:
    names = named(60)
    again = [(seq, name) for seq, name in enumerate(names, 1) for _ in range(4)]
    random.Random(1).shuffle(again)  # noqa: S311 a test's order
    for seq, name in again:
        payload = events_pb2.RunDeleted(run_id=name).SerializeToString()
        await running.broker.publish(TOPIC, payload, {SEQ_HEADER: str(seq)})
    running.begin(running.ear.hear(running.hearing(batch=50, loops=3)))  # a batch holds some twice
    await running.until_effects(names)
    await until_nothing_is_under_way(running)
    assert len(running.heard) > 60
    await running.until_effects(names)


async def test_a_bad_event_holds_up_no_other_and_is_handled_once_it_can_be(running: Hop) -> None:
    running.bad = {"bad"}
    running.begin(running.ear.hear(running.hearing()))
    await running.say(*named(20), "bad", *named(20, "more"))
    await running.until_effects([*named(20), *named(20, "more")])
    running.bad = set()
    await running.until_effects([*named(20), *named(20, "more"), "bad"])


async def test_what_is_no_event_holds_up_no_other(running: Hop) -> None:
    running.begin(running.ear.hear(running.hearing()))
    await running.broker.publish(TOPIC, b"\xff\xff", {SEQ_HEADER: "1000"})
    await running.broker.publish(TOPIC, b"", {})
    await running.say(*named(5))
    await running.until_effects(named(5))


async def test_a_slow_handler_keeps_its_events(ends: tuple[str, str], nats_server: NatsProcess) -> None:
    nats_server.wipe()
    async with hop(ends, nats_server.url, ack_wait=0.9) as running:
        running.slow = 3.0
        running.begin(running.ear.hear(running.hearing(loops=2)))
        await running.say("slow")
        await running.until_effects(["slow"])
        await until_nothing_is_under_way(running)
        assert len(running.heard) == 1


async def test_events_handled_one_by_one_are_all_kept_alive(ends: tuple[str, str], nats_server: NatsProcess) -> None:
    nats_server.wipe()
    async with hop(ends, nats_server.url, ack_wait=1.2) as running:
        running.slow, running.bad = 0.7, {"bad"}
        await running.say("bad", *named(4))
        running.begin(running.ear.hear(running.hearing(loops=2)))
        await running.until_effects(named(4))
    good = [event.message.run_id for event in running.heard if event.message.run_id != "bad"]
    assert len(good) <= 2 * len(named(4))  # in the batch that failed, then alone; never again


async def test_what_comes_while_a_handler_is_slow_goes_to_another(
    ends: tuple[str, str], nats_server: NatsProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "FINISH_SECONDS", 0.2)
    nats_server.wipe()
    async with hop(ends, nats_server.url, ack_wait=60) as running:
        running.slow = 60.0
        running.begin(running.ear.hear(running.hearing()))
        await running.say("slow")
        await until(lambda: bool(running.heard))
        running.slow = 0.0
        running.begin(running.ear.hear(running.hearing()))
        await running.say(*named(20))  # NATS sends some of them where there was room a moment ago
        await running.until_effects(named(20), within=15)


async def test_a_slow_handler_is_no_gap(running: Hop) -> None:
    running.slow = 0.4
    running.begin(running.ear.hear(running.hearing(batch=5)), running.watch(overdue_after=0.5).watch([running.hearing()]))
    await running.say(*named(30))
    await running.until_effects(named(30))
    assert not fetched(running)


@pytest.mark.parametrize("heard_before", [False, True])
async def test_a_store_wiped_in_mid_flow_costs_seconds_and_no_event(
    running: Hop,
    nats_server: NatsProcess,
    heard_before: bool,  # noqa: FBT001 a column of a table
) -> None:
    if heard_before:
        running.begin(running.ear.hear(running.hearing(loops=2)))
    else:  # everything so far is in the stream alone
        await running.broker.declare_consumer(TOPIC, running.ear.durable(TOPIC), running.ear.ack_wait)
    saying = asyncio.create_task(_say_slowly(running, 200))
    await asyncio.sleep(0.6)
    await asyncio.to_thread(nats_server.wipe)
    if not heard_before:
        running.begin(running.ear.hear(running.hearing(loops=2)))
    running.begin(running.watch(overdue_after=1.5).watch([running.hearing()]))
    await saying
    await running.until_effects(named(200), within=25)
    await running.say("afterwards")
    await running.until_effects([*named(200), "afterwards"])
    assert heard_before or fetched(running)


async def _say_slowly(running: Hop, count: int) -> None:
    for name in named(count):
        await running.say(name)
        await asyncio.sleep(0.005)


async def test_a_stream_deleted_and_declared_anew_costs_no_event(running: Hop) -> None:
    running.begin(running.ear.hear(running.hearing()), running.watch().watch([running.hearing()]))
    await running.say(*named(20))
    await running.until_effects(named(20))
    await running.broker.jetstream.delete_stream(TOPIC.stream)
    await running.say(*named(20, "more"))
    await running.until_effects([*named(20), *named(20, "more")])


async def test_a_consumer_that_was_deleted_is_declared_again(running: Hop) -> None:
    running.begin(running.ear.hear(running.hearing()))
    await running.say("before")
    await running.until_effects(["before"])
    await running.broker.jetstream.delete_consumer(TOPIC.stream, running.ear.durable(TOPIC))
    await running.say("after")
    await running.until_effects(["before", "after"])


async def test_a_server_that_restarts_costs_no_event(running: Hop, nats_server: NatsProcess) -> None:
    running.begin(running.ear.hear(running.hearing()), running.watch().watch([running.hearing()]))
    saying = asyncio.create_task(_say_slowly(running, 150))
    for _ in range(2):
        await asyncio.sleep(0.3)
        nats_server.kill()
        await asyncio.to_thread(nats_server.start)
    await saying
    await running.until_effects(named(150))


async def _lost(running: Hop, names: list[str], nats_server: NatsProcess) -> None:
    """Says names, and loses them."""
    await running.say(*names)

    async def published() -> bool:
        async with running.produced.connection() as connection:
            return bool(await connection.fetchval("SELECT bool_and(published_at IS NOT NULL) FROM outbox"))

    await until(published)
    await asyncio.to_thread(nats_server.wipe)


async def test_a_bad_event_holds_up_no_other_that_was_lost(running: Hop, nats_server: NatsProcess) -> None:
    running.bad = {"bad"}
    await _lost(running, ["bad", *named(50)], nats_server)
    running.begin(running.watch(overdue_after=0.3).watch([running.hearing(batch=8)]))
    await running.until_effects(named(50))
    running.bad = set()
    await running.until_effects([*named(50), "bad"])


async def test_two_that_fetch_the_same_have_one_effect(running: Hop, nats_server: NatsProcess) -> None:
    await _lost(running, named(300), nats_server)
    running.begin(*(running.watch(overdue_after=0.3).watch([running.hearing()]) for _ in range(3)))
    await running.until_effects(named(300))


async def test_lost_events_far_apart_are_fetched_without_all_between(running: Hop, nats_server: NatsProcess) -> None:
    await _lost(running, ["first"], nats_server)
    async with running.produced.transaction() as connection:
        await connection.execute("UPDATE outbox_heads SET head = 2000000 WHERE topic = $1", TOPIC.name)
    await _lost(running, ["last"], nats_server)
    async with running.consumed.transaction() as connection:
        await connection.execute("INSERT INTO inbox SELECT $1, generate_series(100, 2000000, 1000)", TOPIC.name)
        await connection.execute(
            "INSERT INTO inbox SELECT $1, seq FROM generate_series(2, 20000) AS seq ON CONFLICT DO NOTHING", TOPIC.name
        )
    watch = running.watch(overdue_after=0.0)
    await watch._fetch(running.hearing(), [1, 2_000_001])
    await running.until_effects(["first", "last"], within=1)


def test_numbers_are_asked_for_in_spans_that_lie_close_together() -> None:
    assert list(consumer._spans([])) == []
    assert list(consumer._spans([1, 2, 200, 201, 900_000])) == [[1, 2, 200], [201], [900_000]]


async def test_the_inbox_is_trimmed_while_nothing_is_missing(running: Hop) -> None:
    running.begin(running.ear.hear(running.hearing()))
    await running.say(*named(5))
    await running.until_effects(named(5))
    async with running.consumed.transaction() as connection:
        await connection.execute("UPDATE inbox SET taken_at = now() - interval '2 hours'")
    await running.watch().look(running.hearing())
    async with running.consumed.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM inbox") == 0
        assert await inbox.watermark(connection, TOPIC) == 5


async def test_the_producer_learns_how_far_its_consumer_has_read(running: Hop) -> None:
    running.begin(running.ear.hear(running.hearing()))
    await running.say(*named(5))
    await running.until_effects(named(5))
    await running.watch().look(running.hearing())
    async with running.produced.connection() as connection:
        assert await connection.fetchval("SELECT watermark FROM outbox_readers WHERE consumer = 'reporting'") == 5


async def test_what_is_being_handled_at_the_end_still_takes_effect(running: Hop) -> None:
    running.slow = 1.0
    hearing = asyncio.create_task(running.ear.hear(running.hearing()))
    await running.say(*named(1))
    await until(lambda: bool(running.heard))
    hearing.cancel()
    await asyncio.wait({hearing})
    await running.until_effects(named(1), within=1)
    await until_nothing_is_under_way(running)


async def test_hearing_ends_no_sooner_than_the_last_of_its_loops(running: Hop) -> None:
    running.slow = 4.0  # longer than the loop beside it, which has nothing to do, takes to end
    hearing = asyncio.create_task(running.ear.hear(running.hearing(loops=2)))
    await running.say(*named(1))
    await until(lambda: bool(running.heard))
    hearing.cancel()
    await asyncio.wait({hearing})
    assert await running.effects() == Counter(named(1))


async def test_what_takes_too_long_at_the_end_goes_to_another_at_once(
    ends: tuple[str, str], nats_server: NatsProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "FINISH_SECONDS", 0.2)
    nats_server.wipe()
    async with hop(ends, nats_server.url, ack_wait=60) as running:
        running.slow = 30.0
        hearing = asyncio.create_task(running.ear.hear(running.hearing()))
        await running.say(*named(1))
        await until(lambda: bool(running.heard))
        hearing.cancel()
        await asyncio.wait({hearing})
        running.slow = 0.0
        running.begin(running.ear.hear(running.hearing()))
        await running.until_effects(named(1), within=10)
