"""A worker's transactions, made together: tickets of one run that claim, record or finish at the same time share one.

Otherwise each would wait for the others at the run's row and at the disk.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from services.runner.entities import ClaimedCase, Executed, Range, Run
from services.runner.operations import dispatch, execution
from shared.coalesce import Coalescer
from shared.postgres import Database

MOST_TICKETS = 16

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Claimed = tuple[Run | None, list[ClaimedCase]]


class Together:
    """One per worker."""

    def __init__(self, database: Database, lease: timedelta) -> None:
        self._database, self._lease = database, lease
        self._claims: dict[UUID, Coalescer[Sequence[Range], Claimed]] = {}
        self._effects: dict[UUID, Coalescer[tuple[Run, Sequence[Executed]], set[int]]] = {}
        self._ends: dict[UUID, Coalescer[Sequence[int], None]] = {}

    async def claim(self, run_id: UUID, ranges: Sequence[Range]) -> Claimed:
        """See operations.execution.claim."""
        return await _do(self._claims, run_id, partial(self._claim, run_id), ranges)

    async def record(self, run: Run, executed: Sequence[Executed]) -> set[int]:
        """See operations.execution.record."""
        return await _do(self._effects, run.id, self._record, (run, executed))

    async def finish(self, run_id: UUID, numbers: Sequence[int]) -> None:
        """See operations.dispatch.finish_tickets."""
        await _do(self._ends, run_id, partial(self._finish, run_id), numbers)

    async def _claim(self, run_id: UUID, asked: Sequence[Sequence[Range]]) -> list[Claimed]:
        run, claimed = await execution.claim(self._database, run_id, [each for ranges in asked for each in ranges], self._lease)
        left = {case.ord: case for case in claimed}
        # Each case goes to one asker alone: two messages of one ticket must not both execute it.
        return [(run, [left.pop(ord_) for each in ranges for ord_ in each.ords if ord_ in left]) for ranges in asked]

    async def _record(self, asked: Sequence[tuple[Run, Sequence[Executed]]]) -> list[set[int]]:
        # After a long pause this worker may hold a stale claim beside the one that followed it: the later alone is written,
        # or the effect of one would be told for both.
        latest: dict[int, Executed] = {}
        for each in sorted((each for _, executed in asked for each in executed), key=lambda each: each.case.fence):
            latest[each.case.ord] = each
        written = await execution.record(self._database, asked[0][0], list(latest.values()))
        return [{each.case.ord for each in executed if latest[each.case.ord] is each} & written for _, executed in asked]

    async def _finish(self, run_id: UUID, asked: Sequence[Sequence[int]]) -> list[None]:
        await dispatch.finish_tickets(self._database, run_id, [number for numbers in asked for number in numbers])
        return [None] * len(asked)


Perform = Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]]


async def _do(known: dict[UUID, Coalescer[Item, Outcome]], run_id: UUID, perform: Perform[Item, Outcome], item: Item) -> Outcome:
    coalescer = known.setdefault(run_id, Coalescer(perform, MOST_TICKETS))
    try:
        return await coalescer.do(item)
    finally:
        if coalescer.idle and known.get(run_id) is coalescer:
            del known[run_id]
