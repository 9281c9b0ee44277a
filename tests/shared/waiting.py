"""Waiting for what is about to happen."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def until(happened: Callable[[], bool | Awaitable[bool]], within: float = 20.0) -> None:
    """Returns as soon as it happened. AssertionError if it doesn't within so many seconds."""
    ends = asyncio.get_running_loop().time() + within
    while True:
        answer = happened()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        assert asyncio.get_running_loop().time() < ends, f"not within {within:g} s"
        await asyncio.sleep(0.02)
