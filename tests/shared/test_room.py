"""Memory that several tasks share."""

import asyncio

import pytest

from shared.room import Room


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
