"""A producer whose database was restored from an old backup: what it says anew is heard, and what it said before not again."""

from collections.abc import AsyncIterator

import pytest

from shared import gaps
from shared.errors import InUse
from shared.outbox import number
from shared.restored import begin_anew
from tests.servers import NatsProcess
from tests.shared.hop import PRODUCER, TOPIC, Hop, hop, named
from tests.shared.waiting import until

SINCE_1970 = 10**15  # microseconds, and more than anybody counts up to


@pytest.fixture
async def before(ends: tuple[str, str], nats_server: NatsProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hop]:
    """A hop that has heard five names; its producer is then as it was after the third."""
    monkeypatch.setattr(gaps, "WATCH_SECONDS", 0.2)
    nats_server.wipe()
    async with hop(ends, nats_server.url) as running:
        running.begin(running.ear.hear(running.hearing()))
        await running.say(*named(5))
        await running.until_effects(named(5))
        yield running


async def go_back(running: Hop, upto: int) -> None:
    """The producer's tables as a backup holds them that was taken after so many events."""
    async with running.produced.transaction() as connection:
        await connection.execute("DELETE FROM outbox WHERE seq > $1", upto)
        await connection.execute("UPDATE outbox_heads SET head = $1", upto)


async def stopped(running: Hop) -> None:
    """Ends the producer's relay, which is the first of the tasks, and lets its connection's lock go."""
    running.tasks[0].cancel()

    async def free() -> bool:
        async with running.produced.transaction() as connection:
            return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('assay.relay.' || $1))", PRODUCER))

    await until(free)


async def restored(running: Hop, upto: int) -> None:
    await stopped(running)
    await go_back(running, upto)
    async with running.produced.connection() as connection:
        await begin_anew(connection, PRODUCER)


async def numbered(running: Hop) -> None:
    """What the relay would do; NATS is left out, so that the outbox alone must be enough."""
    async with running.produced.connection() as connection:
        await number(connection)


async def test_what_is_said_after_a_restore_is_heard(before: Hop) -> None:
    await restored(before, 3)
    before.begin(before.watch().watch([before.hearing()]))
    await before.say(*named(4, "anew"))
    await numbered(before)
    await before.until_effects([*named(5), *named(4, "anew")])


async def test_it_is_heard_after_several_restores_too(before: Hop) -> None:
    await restored(before, 3)
    await before.say("between")
    await numbered(before)
    async with before.produced.connection() as connection:
        await begin_anew(connection, PRODUCER)
        await begin_anew(connection, PRODUCER)
    await before.say("after")
    await numbered(before)
    before.begin(before.watch().watch([before.hearing()]))
    await before.until_effects([*named(5), "between", "after"])


async def test_a_consumer_that_was_behind_hears_what_both_histories_share(before: Hop) -> None:
    async with before.consumed.transaction() as connection:  # restored, too, from a backup taken after the first event
        await connection.execute("DELETE FROM inbox WHERE seq > 1")
        await connection.execute("DELETE FROM inbox_watermarks")
        await connection.execute("DELETE FROM effects WHERE name <> 'run 0'")
    await restored(before, 3)
    before.begin(before.watch().watch([before.hearing()]))
    await before.say("anew")
    await numbered(before)
    await before.until_effects([*named(3), "anew"])


async def test_a_topic_that_the_backup_knows_nothing_of_begins_far_up_as_well(before: Hop) -> None:
    await stopped(before)
    async with before.produced.transaction() as connection:
        await connection.execute("DELETE FROM outbox; DELETE FROM outbox_heads")
    async with before.produced.connection() as connection:
        heads = await begin_anew(connection, PRODUCER)
    assert heads[TOPIC.name] > SINCE_1970
    before.begin(before.watch().watch([before.hearing()]))
    await before.say("anew")
    await numbered(before)
    await before.until_effects([*named(5), "anew"])


async def test_a_service_that_runs_is_not_begun_anew(before: Hop) -> None:
    async with before.produced.connection() as connection:
        with pytest.raises(InUse, match="stop it first"):
            await begin_anew(connection, PRODUCER)
