"""Hearing over real NATS and Postgres: every event has one effect, whatever NATS does to it."""

import asyncio
import random
from collections import Counter

import pytest

from assay.runner.internal.v1 import events_pb2
from shared import consumer
from shared.outbox import SEQ_HEADER
from tests.servers import NatsProcess
from tests.shared.hop import TOPIC, Hop, hop, named
from tests.shared.waiting import until


async def until_nothing_is_under_way(running: Hop) -> None:
    async def idle() -> bool:
        return await running.pending() == (0, 0)

    await until(idle)


async def test_everything_said_takes_effect_and_is_acknowledged(running: Hop) -> None:
    running.begin(running.ear.hear(running.hearing(loops=2)), running.watch(overdue_after=15).watch([running.hearing()]))
    await running.say(*named(300))
    await running.until_effects(named(300))
    await until_nothing_is_under_way(running)
    assert not running.fetched


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
    async with hop(ends, nats_server.url, ack_wait=4.0) as running:
        running.slow = 8.0
        running.begin(running.ear.hear(running.hearing(loops=2)))
        await running.say("slow")
        await running.until_effects(["slow"])
        await until_nothing_is_under_way(running)
        assert len(running.heard) == 1


async def test_events_handled_one_by_one_are_all_kept_alive(ends: tuple[str, str], nats_server: NatsProcess) -> None:
    nats_server.wipe()
    async with hop(ends, nats_server.url, ack_wait=4.0) as running:
        running.slow, running.bad = 1.5, {"bad"}
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


async def test_a_consumer_that_was_deleted_is_declared_again(running: Hop) -> None:
    running.begin(running.ear.hear(running.hearing()))
    await running.say("before")
    await running.until_effects(["before"])
    await running.broker.jetstream.delete_consumer(TOPIC.stream, running.ear.durable(TOPIC))
    await running.say("after")
    await running.until_effects(["before", "after"])


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
