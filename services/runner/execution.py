"""Executing held tickets: claims their cases, calls the target within its limits, and has the outcome written.

A message is acknowledged only when every case of its ticket was executed and committed.
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from services.runner.calls import Caller
from services.runner.entities import CONVERSATION, SCENARIO, ClaimedCase, Executed, Range, Run, Turn
from services.runner.operations import execution
from services.runner.orders import Held, Order
from services.runner.simulation import Simulation
from services.runner.together import Together
from shared.errors import Unavailable
from shared.jetstream import OUTAGES
from shared.postgres import OUTAGES as DATABASE_OUTAGES, Database

FLUSH_SECONDS = 0.2
LEASED_NAK_SECONDS = 3.0
GIVEN_BACK_SECONDS = 0.1


async def return_orders(orders: Sequence[Order], seconds: float) -> None:
    """Has tickets come again in about so many seconds, here or elsewhere."""
    # Never without a delay: a bare nak comes back within a millisecond.
    for order in orders:
        with contextlib.suppress(*OUTAGES):  # one may be acknowledged already
            await order.message.nak(delay=seconds * random.uniform(0.8, 1.2))  # noqa: S311 spreads load, guards nothing


class Execution:
    """One per worker."""

    def __init__(self, database: Database, caller: Caller, lease: timedelta) -> None:
        self._database, self._caller, self._lease = database, caller, lease
        self._simulation = Simulation(caller)
        self._together = Together(database, lease)
        self._leaving = False

    def leave(self) -> None:
        """The worker ends: no more calls or turns are begun, what is under way is still written, and what is left comes again soon."""
        self._leaving = True

    async def execute(self, held: Held) -> None:
        """Claims the cases of these tickets, executes what it got, and acknowledges or returns the tickets.

        Raises if Postgres is away for too long; what is claimed by then stands in `held.fences`.
        """
        held.left = sum(order.calls for order in held.orders)
        ranges = [order.range for order in held.orders]
        run, claimed = await self._claim(held.run_id, ranges)
        if run is not None and claimed:
            held.fences = {case.ord: case.fence for case in claimed}
            held.left = min(held.left, len(claimed))
            if run.mode == SCENARIO:
                await self._conversations(run, claimed, held)
            elif run.at_once:
                await self._at_once(run, claimed, held)
            else:
                await self._in_parallel(run, claimed, held)
        if held.fences:  # not begun any more
            await execution.give_back(self._database, held.run_id, held.fences)
            held.fences, held.lost = {}, True
        await self._settle(held, claimed_all=len(claimed) == sum(len(each.ords) for each in ranges))

    async def _claim(self, run_id: UUID, ranges: Sequence[Range]) -> tuple[Run | None, list[ClaimedCase]]:
        """What may be taken of these ranges. Cancelled in the middle, it gives back what it got."""
        claiming = asyncio.ensure_future(self._together.claim(run_id, ranges))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            _, claimed = await claiming
            await execution.give_back(self._database, run_id, {case.ord: case.fence for case in claimed})
            raise

    async def _settle(self, held: Held, *, claimed_all: bool) -> None:
        """Acknowledges the tickets whose every case is executed; the rest comes again, here or elsewhere."""
        open_: list[int] = []
        if held.lost or not claimed_all:  # else every case was claimed and written here, and there is nothing to look for
            open_ = await execution.open_ords(self._database, held.run_id, [order.range for order in held.orders])
        left = [order for order in held.orders if any(ord_ in order.range.ords for ord_ in open_)]
        done = [order for order in held.orders if order not in left]
        await return_orders(left, GIVEN_BACK_SECONDS if self._leaving else LEASED_NAK_SECONDS)
        if done:
            await self._together.finish(held.run_id, [order.ticket.number for order in done])
        with contextlib.suppress(*OUTAGES):
            for order in done:
                await order.message.ack()

    async def _at_once(self, run: Run, claimed: Sequence[ClaimedCase], held: Held) -> None:
        """Builtin targets answer in this process: no call to wait for, one effect for all."""
        executed = await self._caller.answer_all(run, claimed)
        await self._record(run, executed, held)

    async def _in_parallel(self, run: Run, claimed: Sequence[ClaimedCase], held: Held) -> None:
        """Each case alone, within the limits; what is done is written every 200 ms."""
        if self._leaving:
            return
        calls = held.calls = {asyncio.create_task(self._alone(run, case)) for case in claimed}
        try:
            while calls:
                await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                # The neighbours of the first are about to end as well: one transaction for them all.
                await asyncio.wait(calls, timeout=FLUSH_SECONDS)
                done = {call for call in calls if call.done()}
                calls -= done
                if executed := [call.result() for call in done if not call.cancelled()]:
                    await self._record(run, executed, held)
        finally:
            for call in calls:
                call.cancel()

    async def _alone(self, run: Run, case: ClaimedCase) -> Executed:
        """A case that needs no other: one question, or a conversation of its own."""
        return await (self._simulation.hold(run, case) if run.mode == CONVERSATION else self._caller.call(run, case, ()))

    async def _conversations(self, run: Run, claimed: Sequence[ClaimedCase], held: Held) -> None:
        by_repeat: dict[int, list[ClaimedCase]] = {}
        for case in claimed:
            by_repeat.setdefault(case.repeat, []).append(case)
        calls = held.calls = {asyncio.create_task(self._conversation(run, cases, held)) for cases in by_repeat.values()}
        try:
            await asyncio.wait(calls)
        finally:
            for call in calls:
                call.cancel()
        for call in calls:
            if not call.cancelled():
                call.result()

    async def _conversation(self, run: Run, cases: Sequence[ClaimedCase], held: Held) -> None:
        """Turn by turn, each committed; after the last stored turn if it was begun before. A failed turn ends it."""
        history = await execution.earlier_turns(self._database, run, cases[0])
        for index, case in enumerate(cases):
            if self._leaving:
                return
            done = await self._caller.call(run, case, history)
            executed = [done]
            if done.output is None:
                reason = f"the conversation ended at an earlier turn: {done.error}"
                executed += [Executed(later, error=reason) for later in cases[index + 1 :]]
            if not await self._record(run, executed, held) or done.output is None:
                return
            history.append(Turn(case.question, done.output))

    async def _record(self, run: Run, executed: Sequence[Executed], held: Held) -> bool:
        """Whether every effect took place; one that didn't belongs to another claim by now."""
        ords = {each.case.ord for each in executed}
        held.writing |= ords
        try:
            written = await self._written(run, executed)
        finally:
            held.writing -= ords
        for ord_ in ords:
            held.fences.pop(ord_, None)
        held.left = min(held.left, len(held.fences))
        held.lost |= len(written) < len(ords)
        return len(written) == len(ords)

    async def _written(self, run: Run, executed: Sequence[Executed]) -> set[int]:
        """What was paid for is not thrown away because Postgres restarts: tried until a lease has surely passed."""
        gives_up = asyncio.get_running_loop().time() + 4 * self._lease.total_seconds()
        while True:
            try:
                return await self._together.record(run, executed)
            except (Unavailable, *DATABASE_OUTAGES):
                if asyncio.get_running_loop().time() > gives_up:
                    raise
                await asyncio.sleep(0.3)
