"""What NATS lost over real NATS and Postgres: it is fetched from the producer's outbox, and only that."""

import asyncio

import pytest

from shared import gaps, inbox
from tests.servers import NatsProcess
from tests.shared.hop import TOPIC, Hop, named
from tests.shared.waiting import until


async def test_a_slow_handler_is_no_gap(running: Hop) -> None:
    running.slow = 0.8
    running.begin(running.ear.hear(running.hearing(batch=5)), running.watch(overdue_after=2.0).watch([running.hearing()]))
    await running.say(*named(30))
    await running.until_effects(named(30))
    assert not running.fetched


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

    async def under_way() -> bool:
        async with running.produced.connection() as connection:
            return bool(await connection.fetchval("SELECT count(*) > 20 FROM outbox WHERE published_at IS NOT NULL"))

    await until(under_way)
    await asyncio.to_thread(nats_server.wipe)
    if not heard_before:
        running.begin(running.ear.hear(running.hearing(loops=2)))
    running.begin(running.watch(overdue_after=1.5).watch([running.hearing()]))
    await saying
    await running.until_effects(named(200), within=25)
    await running.say("afterwards")
    await running.until_effects([*named(200), "afterwards"])
    assert heard_before or running.fetched


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
    assert list(gaps._spans([])) == []
    assert list(gaps._spans([1, 2, 200, 201, 900_000])) == [[1, 2, 200], [201], [900_000]]


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
