"""Doing together what is asked for at the same time."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.coalesce import Coalescer


class Batches:
    """Notes the batches that it performs, each of which takes 10 ms."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.faults: list[BaseException] = []

    async def perform(self, items: Sequence[int]) -> list[int]:
        self.seen.append(list(items))
        await asyncio.sleep(0.01)
        if self.faults:
            raise self.faults.pop(0)
        return [item * 10 for item in items]


async def test_alone_none_waits_and_those_that_come_meanwhile_are_one_batch() -> None:
    batches = Batches()
    together = Coalescer(batches.perform, 16)
    assert await asyncio.gather(*(together.do(each) for each in range(5))) == [0, 10, 20, 30, 40]
    first = asyncio.create_task(together.do(7))
    await asyncio.sleep(0.005)
    later = [asyncio.create_task(together.do(each)) for each in (8, 9)]
    assert await asyncio.gather(first, *later) == [70, 80, 90]
    assert batches.seen == [[0, 1, 2, 3, 4], [7], [8, 9]]
    assert together.idle


async def test_a_batch_has_its_most() -> None:
    batches = Batches()
    await asyncio.gather(*(Coalescer(batches.perform, 3).do(1), *(batches.perform([2]),)))
    together = Coalescer(batches.perform, 3)
    await asyncio.gather(*(together.do(each) for each in range(8)))
    assert [len(batch) for batch in batches.seen[2:]] == [3, 3, 2]


async def test_what_a_batch_raises_each_of_its_items_gets_and_no_other() -> None:
    batches = Batches()
    batches.faults = [ConnectionError("away")]
    together = Coalescer(batches.perform, 2)
    outcomes = await asyncio.gather(*(together.do(each) for each in range(4)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError, ConnectionError, int, int]


async def test_an_item_whose_caller_gave_up_takes_nothing_from_the_others() -> None:
    batches = Batches()
    together = Coalescer(batches.perform, 16)
    tasks = [asyncio.create_task(together.do(each)) for each in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert [outcomes[0], outcomes[2]] == [0, 20]
    assert batches.seen == [[0, 1, 2]]


async def test_it_goes_on_after_its_work_was_cancelled() -> None:
    batches = Batches()
    together = Coalescer(batches.perform, 16)
    doing = asyncio.create_task(together.do(1))
    await asyncio.sleep(0.001)
    assert together._running is not None
    together._running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert await together.do(2) == 20
