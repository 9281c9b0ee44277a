"""Long texts are fetched portion by portion, and no more of them are held at a time than there is room for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from assay.runner.internal.v1 import runner_pb2
from services.scoring import clients
from services.scoring.embedding import Embedder
from services.scoring.operations import score_executed
from services.scoring.room import Room
from tests.servers import PostgresServer
from tests.services.scoring.events import Facts, a_case, heard
from tests.services.scoring.house import House, a_house

PORTION = 1000
LONG = {"question": "", "expected": "", "texts_by_id": True}


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.create(["scoring"])["scoring"]


@pytest.fixture
async def house(url: str, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(clients, "PORTION_BYTES", PORTION)
    monkeypatch.setattr(clients, "ROOM_BYTES", 2 * PORTION)
    async with a_house(url, embedder) as house:
        yield house


def texts(ord_: int, size: int, output: str | None = None) -> runner_pb2.CaseTexts:
    expected = str(ord_) * size
    return runner_pb2.CaseTexts(ord=ord_, question="q", expected=expected, output=output or expected)


async def test_a_portion_is_scored_before_the_next_is_fetched(house: House) -> None:
    run = Facts()
    house.runner.keeps(run, texts(1, 300), texts(2, 300), texts(3, 5000), texts(5, 300, "other"), texts(6, 10))
    long = [a_case(ord_, None, **LONG) for ord_ in (6, 3, 1, 2, 5)]
    await score_executed(house.parts, heard(run.executed(long[0], a_case(0), *long[1:], a_case(4, "wrong"))))
    assert house.runner.asked == [[1, 2, 3, 5, 6], [3, 5, 6], [5, 6]]
    assert await house.statuses(run) == [
        (0, "passed"),
        (1, "passed"),
        (2, "passed"),
        (3, "passed"),
        (4, "failed"),
        (5, "failed"),
        (6, "passed"),
    ]
    [told] = await house.told(run)
    assert [case.executed.ord for case in told.cases] == [6, 0, 3, 1, 2, 5, 4]


async def test_a_run_that_is_deleted_in_between_ends_all_the_same(house: House) -> None:
    run = Facts()
    house.runner.keeps(run, texts(1, 1000))
    reading = house.parts.runner.texts(run.workspace, str(run.id), [1, 2])
    async with reading as portion:
        assert (list(portion.texts), portion.rest) == ([1], [2])
    house.runner.texts.clear()
    async with house.parts.runner.texts(run.workspace, str(run.id), portion.rest) as portion:
        assert (portion.texts, portion.rest) == ({}, [])


async def test_who_finds_no_room_asks_later(house: House) -> None:
    run, runner = Facts(), house.parts.runner
    house.runner.keeps(run, texts(1, 600), texts(2, 10))

    async def read() -> None:
        async with runner.texts(run.workspace, str(run.id), [2]) as portion:
            assert list(portion.texts) == [2]

    async with runner.texts(run.workspace, str(run.id), [1]):
        waiting = asyncio.create_task(read())
        await asyncio.sleep(0.2)
        assert house.runner.asked == [[1]]
    await asyncio.wait_for(waiting, 10)
    assert house.runner.asked == [[1], [2]]


async def test_what_is_small_leaves_its_room_to_others(house: House) -> None:
    run, runner = Facts(), house.parts.runner
    house.runner.keeps(run, *(texts(ord_, 100) for ord_ in range(1, 5)))
    async with asyncio.timeout(10), contextlib.AsyncExitStack() as held:
        for ords in ([1], [2], [3, 4]):  # three portions, where there is room for two full ones
            portion = await held.enter_async_context(runner.texts(run.workspace, str(run.id), ords))
            assert list(portion.texts) == ords


async def test_room_comes_back_whatever_becomes_of_who_held_it() -> None:
    room = Room(10)
    async with room.share(10) as share:
        share.settle(25)
        assert room.free == -15
        waiting = asyncio.create_task(_share(room))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert room.free == 10
    with pytest.raises(ZeroDivisionError):
        await _share(room, 0)
    assert room.free == 10
    async with asyncio.timeout(5):
        await asyncio.gather(*(_share(room) for _ in range(20)))
    assert room.free == 10


async def _share(room: Room, divisor: int = 1) -> None:
    async with room.share(10):
        await asyncio.sleep(1 // divisor * 0)
