"""Doing together what is asked for at the same time: one transaction instead of many that wait for each other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Coalescer(Generic[Item, Outcome]):
    """Items that come while a batch is under way wait, and are the next batch: alone none waits, under load few transactions
    do the work of many.

    `perform` gets the items of a batch and answers one outcome each, in order; what it raises, each of them gets. An item
    whose caller gave up is performed all the same.
    """

    def __init__(self, perform: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]], most: int) -> None:
        self._perform, self._most = perform, most
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._running: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits or is under way."""
        return not self._waiting and (self._running is None or self._running.done())

    async def do(self, item: Item) -> Outcome:
        """The outcome of this item. Raises what its batch raised."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await outcome

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                outcomes = await self._perform([item for item, _ in batch])
            except BaseException as fault:
                for _, waiter in batch:
                    if not waiter.done():
                        waiter.set_exception(fault if isinstance(fault, Exception) else asyncio.CancelledError())
                if not isinstance(fault, Exception):
                    raise
                continue
            for (_, waiter), outcome in zip(batch, outcomes, strict=True):
                if not waiter.done():
                    waiter.set_result(outcome)
