"""The outbox: dense numbers, whatever order transactions commit in."""

import asyncio
import contextlib
import random
from collections import defaultdict

import asyncpg
import pytest

from assay.runner.internal.v1 import events_pb2
from shared import outbox
from shared.outbox import Event, Row
from shared.postgres import Database
from shared.topics import CASES_EXECUTED, RUN_DELETED, RUN_FINISHED, TICKETS, Topic

TOPICS = (CASES_EXECUTED, RUN_DELETED, RUN_FINISHED)


def an_event(topic: Topic = RUN_DELETED, run: str = "r", key: str | None = None) -> Event:
    if topic is RUN_FINISHED:
        return Event(topic, events_pb2.RunFinished(expected_results=1), key)
    return Event(topic, topic.message(run_id=run), key)


async def numbers(database: Database) -> dict[str, list[int | None]]:
    """Topic → the numbers of its rows in order of id."""
    found: dict[str, list[int | None]] = defaultdict(list)
    async with database.connection() as connection:
        for row in await connection.fetch("SELECT topic, seq FROM outbox ORDER BY id"):
            found[row["topic"]].append(row["seq"])
    return found


async def number(database: Database) -> list[Row]:
    async with database.connection() as connection:
        return await outbox.number(connection)


async def test_numbers_are_dense_per_topic(database: Database) -> None:
    async with database.transaction() as connection:
        await outbox.append(connection, [an_event(topic) for topic in (RUN_DELETED, RUN_FINISHED, RUN_DELETED, RUN_DELETED)])
    rows = await number(database)
    assert sorted((row.topic.name, row.seq) for row in rows) == [
        (RUN_DELETED.name, 1),
        (RUN_DELETED.name, 2),
        (RUN_DELETED.name, 3),
        (RUN_FINISHED.name, 1),
    ]
    assert await number(database) == []
    async with database.connection() as connection:
        assert [await outbox.head(connection, topic.name) for topic in (RUN_DELETED, RUN_FINISHED, TICKETS)] == [3, 1, 0]


async def test_a_late_commit_is_not_skipped(database: Database) -> None:
    async with database.transaction() as early:
        await outbox.append(early, [an_event(run="early")])
        async with database.transaction() as late:
            await outbox.append(late, [an_event(run="late")])
        assert [row.seq for row in await number(database)] == [1]
    assert [row.seq for row in await number(database)] == [2]
    assert await numbers(database) == {RUN_DELETED.name: [2, 1]}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_commits_in_any_order_are_numbered_densely_and_once(database: Database, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 a test's order
    handed_out: list[tuple[str, int]] = []
    working = True

    async def write(pauses: list[float], topics: list[Topic]) -> None:
        async with database.transaction() as connection:
            for pause, topic in zip(pauses, topics, strict=True):
                await outbox.append(connection, [an_event(topic), an_event(topic)])
                await asyncio.sleep(pause)
            if pauses[0] > 0.018:
                raise ConnectionAbortedError

    async def relay() -> None:
        while working:
            handed_out.extend((row.topic.name, row.seq) for row in await number(database))

    relaying = asyncio.create_task(relay())
    plans = [([chance.uniform(0, 0.02) for _ in range(3)], chance.choices(TOPICS, k=3)) for _ in range(60)]
    outcomes = await asyncio.gather(*(write(*plan) for plan in plans), return_exceptions=True)
    working = False
    await relaying
    handed_out.extend((row.topic.name, row.seq) for row in await number(database))
    assert any(isinstance(outcome, ConnectionAbortedError) for outcome in outcomes)
    found = await numbers(database)
    assert {name: sorted(seqs) for name, seqs in found.items()} == {name: list(range(1, len(seqs) + 1)) for name, seqs in found.items()}  # type: ignore[type-var]  # none is None
    assert sorted(handed_out) == sorted((name, seq) for name, seqs in found.items() for seq in seqs)


async def test_more_than_a_batch_is_numbered_in_several(database: Database) -> None:
    async with database.transaction() as connection:
        await outbox.append(connection, [an_event() for _ in range(outbox.BATCH + 7)])
    assert [len(await number(database)) for _ in range(3)] == [outbox.BATCH, 7, 0]
    assert (await numbers(database))[RUN_DELETED.name] == list(range(1, outbox.BATCH + 8))


async def test_of_several_with_one_key_the_first_is_kept(database: Database) -> None:
    for run in ("first", "second"):
        async with database.transaction() as connection:
            await outbox.append(connection, [an_event(run=run, key="k"), an_event(run=run)])
    runs = [events_pb2.RunDeleted.FromString(row.payload).run_id for row in sorted(await number(database), key=lambda row: row.seq)]
    assert runs == ["first", "first", "second"]


async def test_what_was_rolled_back_was_never_said(database: Database) -> None:
    with contextlib.suppress(ConnectionAbortedError):
        async with database.transaction() as connection:
            await outbox.append(connection, [an_event()])
            raise ConnectionAbortedError
    assert await number(database) == []


async def test_a_range_is_read_in_order_with_its_payloads(database: Database) -> None:
    async with database.transaction() as connection:
        await outbox.append(connection, [an_event(run=f"r{each}") for each in range(1, 6)])
    await number(database)
    async with database.connection() as connection:
        found = await outbox.read(connection, RUN_DELETED.name, 2, 4)
    assert [(seq, events_pb2.RunDeleted.FromString(payload).run_id) for seq, payload in found] == [(2, "r2"), (3, "r3"), (4, "r4")]


async def _aged(database: Database) -> None:
    """Five old rows and three young ones, all numbered."""
    async with database.transaction() as connection:
        await outbox.append(connection, [an_event(RUN_FINISHED) for _ in range(8)])
        await outbox.number(connection)
        await connection.execute("UPDATE outbox SET created_at = now() - interval '25 hours' WHERE seq <= 5")


async def _left(database: Database) -> list[int | None]:
    async with database.transaction() as connection:
        await outbox.trim(connection)
    return (await numbers(database))[RUN_FINISHED.name]


async def _noted(database: Database, **watermarks: int) -> None:
    async with database.transaction() as connection:
        for consumer, watermark in watermarks.items():
            await outbox.note_reader(connection, RUN_FINISHED.name, consumer, watermark)


async def test_rows_go_when_every_consumer_has_passed_them_and_a_day_has(database: Database) -> None:
    await _aged(database)
    everything = list(range(1, 9))
    assert await _left(database) == everything
    await _noted(database, reporting=8)
    assert await _left(database) == everything  # the catalog hasn't said a word yet
    await _noted(database, catalog=2, scoring=8)
    assert await _left(database) == [3, 4, 5, 6, 7, 8]
    await _noted(database, catalog=1, reporting=1)  # a watermark never goes back
    assert await _left(database) == [3, 4, 5, 6, 7, 8]
    await _noted(database, catalog=8)
    assert await _left(database) == [6, 7, 8]


async def test_trimming_goes_on_in_slices(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "TRIM_ROWS", 2)
    await _aged(database)
    await _noted(database, reporting=8, catalog=8)
    assert await _left(database) == [6, 7, 8]


def test_messages_are_grouped_up_to_the_size_of_an_event() -> None:
    small = [events_pb2.ExecutedCase(ord=each, output="x" * 100_000) for each in range(12)]
    parts = list(outbox.parts_by_size(small))
    assert [len(part) for part in parts] == [5, 5, 2]
    assert [case.ord for part in parts for case in part] == list(range(12))
    huge = events_pb2.ExecutedCase(output="x" * 2 * outbox.MAX_EVENT_BYTES)
    assert [len(part) for part in outbox.parts_by_size([small[0], huge, small[1]])] == [1, 1, 1]
    assert list(outbox.parts_by_size([])) == []


async def test_a_row_keeps_its_number_for_good(database: Database, delivery_url: str) -> None:
    async with database.transaction() as connection:
        await outbox.append(connection, [an_event() for _ in range(3)])
    await number(database)
    connection = await asyncpg.connect(delivery_url)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("UPDATE outbox SET seq = 1 WHERE seq = 2")
    await connection.close()
