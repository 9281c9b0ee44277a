"""Figures: each rises with what it tells of, and falls again."""

import asyncio
import time

from prometheus_client import REGISTRY

from assay.runner.internal.v1 import events_pb2
from shared import observe, outbox
from shared.outbox import Event
from shared.postgres import Database
from shared.topics import RUN_DELETED
from tests.servers import NatsProcess
from tests.shared.hop import TOPIC, hop, named
from tests.shared.waiting import until


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_rows_wait_from_their_commit_to_their_publication(database: Database) -> None:
    async with database.transaction() as connection:
        assert await outbox.waiting(connection) == (0, 0.0)
        await outbox.append(connection, [Event(RUN_DELETED, events_pb2.RunDeleted(run_id=name)) for name in named(5)])
        await connection.execute("UPDATE outbox SET created_at = now() - interval '90 s' WHERE id = (SELECT min(id) FROM outbox)")
        assert await outbox.waiting(connection) == (5, 90.0)
        await outbox.number(connection)
        await connection.execute("UPDATE outbox SET published_at = now() WHERE seq = 1")
        await connection.execute("UPDATE outbox SET parked = 'too large' WHERE seq = 2")
        assert await outbox.waiting(connection) == (3, 0.0)


async def test_the_lag_is_what_had_no_effect_yet(ends: tuple[str, str], nats_server: NatsProcess) -> None:
    nats_server.wipe()
    async with hop(ends, nats_server.url) as running:
        watch, hearing = running.watch(60.0), running.hearing()
        await running.say(*named(7))

        async def numbered() -> bool:
            async with running.produced.connection() as connection:
                return bool(await connection.fetchval("SELECT max(head) = 7 FROM outbox_heads"))

        await until(numbered)
        await watch.look(hearing)
        assert value("assay_consumer_lag", topic=TOPIC.name) == 7
        running.begin(running.ear.hear(hearing))
        await running.until_effects(named(7))
        await watch.look(hearing)
        assert value("assay_consumer_lag", topic=TOPIC.name) == 0


async def test_an_event_that_fails_is_counted(ends: tuple[str, str], nats_server: NatsProcess) -> None:
    nats_server.wipe()
    before = value("assay_events_failed_total", topic=TOPIC.name)
    async with hop(ends, nats_server.url) as running:
        running.bad.add("bad")
        running.begin(running.ear.hear(running.hearing()))
        await running.say("bad", "good")
        await running.until_effects(["good"])
    assert value("assay_events_failed_total", topic=TOPIC.name) > before


async def test_connections_of_the_pool_are_told_by_state(database: Database) -> None:
    used = value("assay_postgres_connections", state="used")
    async with database.connection():
        assert value("assay_postgres_connections", state="used") == used + 1
    assert value("assay_postgres_connections", state="used") == used


async def test_a_loop_that_computes_is_late() -> None:
    watching = asyncio.create_task(observe.watch_loop())
    await asyncio.sleep(0.9)
    time.sleep(0.5)  # noqa: ASYNC251 what must not happen in a service
    await asyncio.sleep(0.2)
    watching.cancel()
    assert value("assay_event_loop_lag_seconds") > 0.2
