"""The inbox: every number has one effect, and every gap shows."""

import asyncio
import contextlib

import pytest

from shared import inbox
from shared.postgres import Database
from shared.topics import CASES_SCORED, RUN_FINISHED

TOPIC = CASES_SCORED


async def take(database: Database, *seqs: int) -> set[int]:
    async with database.transaction() as connection:
        return await inbox.take(connection, TOPIC, seqs)


async def watermark(database: Database) -> int:
    async with database.connection() as connection:
        return await inbox.watermark(connection, TOPIC)


async def test_a_number_is_taken_once(database: Database) -> None:
    assert await take(database, 3, 1, 1) == {1, 3}
    assert await take(database, 1, 2, 3, 4) == {2, 4}
    assert await take(database) == set()


async def test_topics_are_numbered_apart(database: Database) -> None:
    await take(database, 1)
    async with database.transaction() as connection:
        assert await inbox.take(connection, RUN_FINISHED, [1]) == {1}


async def test_a_number_whose_effect_was_rolled_back_can_be_taken_again(database: Database) -> None:
    with contextlib.suppress(ConnectionAbortedError):
        async with database.transaction() as connection:
            assert await inbox.take(connection, TOPIC, [1]) == {1}
            raise ConnectionAbortedError
    assert await take(database, 1) == {1}


async def test_of_many_that_take_one_number_at_once_one_gets_it(database: Database) -> None:
    async def hold(seqs: list[int]) -> set[int]:
        async with database.transaction() as connection:
            taken = await inbox.take(connection, TOPIC, seqs)
            await asyncio.sleep(0.01)
            return taken

    # In opposite orders, and enough of them to meet: a deadlock, if numbers weren't taken in order.
    everything = list(range(1, 4000))
    takings = await asyncio.gather(*(hold(everything[:: 1 if each % 2 else -1]) for each in range(8)))
    assert sorted(seq for taken in takings for seq in taken) == everything


async def test_the_second_of_two_gets_it_if_the_first_fails(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await inbox.take(connection, TOPIC, [1])
            await asyncio.sleep(0.2)
            raise ConnectionAbortedError

    failing = asyncio.create_task(fail())
    await asyncio.sleep(0.1)
    assert await take(database, 1) == {1}
    with pytest.raises(ConnectionAbortedError):
        await failing


async def test_the_watermark_moves_to_the_first_gap(database: Database) -> None:
    assert await watermark(database) == 0
    await take(database, 2, 3)
    assert await watermark(database) == 0
    await take(database, 1, 5)
    assert await watermark(database) == 3
    await take(database, 4, 6)
    assert await watermark(database) == 6


async def test_what_the_watermark_passed_is_not_taken_again_even_when_its_row_is_gone(database: Database) -> None:
    await take(database, 1, 2, 3, 5)
    await watermark(database)
    async with database.transaction() as connection:
        await connection.execute("UPDATE inbox SET taken_at = now() - interval '2 hours'")
        await inbox.trim(connection, TOPIC)
        assert await connection.fetchval("SELECT array_agg(seq) FROM inbox") == [5]
    assert await take(database, 1, 2, 3, 4, 5) == {4}
    assert await watermark(database) == 5


async def test_young_numbers_are_kept(database: Database) -> None:
    await take(database, 1, 2)
    await watermark(database)
    async with database.transaction() as connection:
        await connection.execute("UPDATE inbox SET taken_at = now() - interval '59 minutes'")
        await inbox.trim(connection, TOPIC)
        assert await connection.fetchval("SELECT count(*) FROM inbox") == 2


async def test_missing_and_untaken_numbers_are_told(database: Database) -> None:
    await take(database, 1, 2, 4, 7)
    await watermark(database)
    async with database.connection() as connection:
        assert await inbox.missing(connection, TOPIC, 9) == [3, 5, 6, 8, 9]
        assert await inbox.missing(connection, TOPIC, 9, limit=2) == [3, 5]
        assert await inbox.missing(connection, TOPIC, 2) == []
        assert await inbox.untaken(connection, TOPIC, [1, 3, 4, 9]) == {3, 9}
