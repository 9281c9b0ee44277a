"""Slices rest as long as they took."""

import asyncio
import itertools

from shared.slices import slice_by_slice


async def test_it_goes_on_until_nothing_is_left() -> None:
    left = [True, True, False, True]

    async def delete() -> bool:
        return left.pop(0)

    await slice_by_slice(delete)
    assert left == [True]


async def test_a_slice_that_took_long_is_followed_by_as_long_a_rest() -> None:
    clock = asyncio.get_running_loop().time
    times: list[tuple[float, float]] = []

    async def delete() -> bool:
        began = clock()
        await asyncio.sleep(0.2)
        times.append((began, clock()))
        return len(times) < 3

    await slice_by_slice(delete)
    rests = [later[0] - earlier[1] for earlier, later in itertools.pairwise(times)]
    assert min(rests) >= 0.19
