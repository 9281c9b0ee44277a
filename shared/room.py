"""Memory for what is fetched: several tasks share it, and who finds too little of it waits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Room:
    """So many bytes. What proves to be larger than its share is held all the same, and the next wait for it too."""

    def __init__(self, size: int) -> None:
        self.free = size
        self._came_free = asyncio.Event()

    @contextlib.asynccontextmanager
    async def share(self, size: int) -> AsyncIterator["Share"]:
        """Waits for so many bytes, and holds them or what they prove to be. `size` is at most the whole room."""
        while self.free < size:
            self._came_free.clear()
            await self._came_free.wait()
        self.free -= size
        share = Share(self, size)
        try:
            yield share
        finally:
            share.settle(0)

    def give(self, size: int) -> None:
        """More bytes are free; less, if that is below 0."""
        self.free += size
        self._came_free.set()


class Share:
    """Bytes that are held in a room."""

    def __init__(self, room: Room, size: int) -> None:
        self._room, self._size = room, size

    def settle(self, size: int) -> None:
        """Tells how many bytes are needed in fact."""
        self._room.give(self._size - size)
        self._size = size
