"""Deleting much without anybody noticing: slice by slice, with rests."""

import asyncio
from collections.abc import Awaitable, Callable


async def slice_by_slice(delete: Callable[[], Awaitable[bool]]) -> None:
    """Repeats `delete`, which deletes a slice in a transaction of its own, until it answers that nothing is left."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while await delete():
        # As long as the slice took: however slow Postgres is, half of the time belongs to others.
        await asyncio.sleep(clock() - began)
        began = clock()
