"""The worker: takes tickets, claims their cases, calls the target within its limits, and has the outcome written.

A message is acknowledged only when every case of its ticket was executed and committed.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from services.runner.calls import Caller
from services.runner.entities import CONVERSATION, SCENARIO, ClaimedCase, Executed, Range, Run, Turn
from services.runner.governor import Governor
from services.runner.operations import execution
from services.runner.orders import Held, Issues, Load, Order, Returns, read_order
from services.runner.simulation import Simulation
from services.runner.together import Together
from shared import observe, tracing
from shared.errors import Unavailable
from shared.jetstream import OUTAGES, Broker
from shared.postgres import OUTAGES as DATABASE_OUTAGES, Database
from shared.puller import FETCH_SECONDS, FINISH_SECONDS, Puller
from shared.topics import TICKETS

DURABLE = "runner-tickets"
CANCELLED_SUBJECT = "assay.cancelled"
MAX_TICKETS = 64
BUILTIN_BATCH = 8
FLUSH_SECONDS = 0.2
FAILED_NAK_SECONDS = 0.25
LEASED_NAK_SECONDS = 3.0
GIVEN_BACK_SECONDS = 0.1
FINISH_LOOK_SECONDS = 0.1

log = logging.getLogger(__name__)


class Worker:
    """One per process."""

    def __init__(self, database: Database, broker: Broker, governor: Governor, caller: Caller, lease: timedelta) -> None:
        self._database, self._broker, self._governor, self._caller = database, broker, governor, caller
        self._simulation = Simulation(caller)
        self._lease = lease
        self._held: set[Held] = set()
        self._together = Together(database, lease)
        self._freed = asyncio.Event()
        self._leaving = False
        self._issues = Issues()
        self._returns = Returns()

    async def run(self) -> None:
        """Works until cancelled; then lets calls that are under way end, and gives back what it still has."""
        async with asyncio.TaskGroup() as group:
            meanwhile = [group.create_task(self._renew()), group.create_task(self._hear_cancelled())]
            try:
                await self._pull()
            finally:
                for task in meanwhile:
                    task.cancel()

    async def _pull(self) -> None:
        puller = Puller(self._broker, TICKETS, DURABLE, self._lease.total_seconds())
        try:
            while True:
                try:
                    await self._turn(puller)
                except NotFoundError:
                    with contextlib.suppress(*OUTAGES):
                        await puller.redeclare()
                    await asyncio.sleep(0.2)
                except OUTAGES as outage:
                    log.warning("pulling is waiting", extra={"fault": repr(outage)})
                    await asyncio.sleep(0.5)
        finally:
            self._leaving = True
            await asyncio.gather(puller.give_back(), self._finish())
            await self._give_up()

    async def _turn(self, puller: Puller) -> None:
        room = MAX_TICKETS - sum(len(held.orders) for held in self._held)
        if room <= 0:
            self._freed.clear()
            await self._freed.wait()
            return
        messages = await puller.fetch(min(room, BUILTIN_BATCH), FETCH_SECONDS)
        together: dict[UUID, list[Order]] = {}
        for message in messages:
            order = read_order(message)
            if order is None:
                await message.term()
            elif order.ticket.at_once:
                together.setdefault(order.run_id, []).append(order)
            else:
                self._begin(order.run_id, [order])
        for run_id, orders in together.items():
            self._begin(run_id, orders)

    def _begin(self, run_id: UUID, orders: Sequence[Order]) -> None:
        held = Held(orders, run_id)
        held.task = asyncio.create_task(self._work(run_id, held))
        self._held.add(held)
        held.task.add_done_callback(lambda _: self._end(held))

    def _end(self, held: Held) -> None:
        self._held.discard(held)
        self._freed.set()

    async def _work(self, run_id: UUID, held: Held) -> None:
        observe.name(run_id=run_id, workspace_id=held.orders[0].ticket.workspace_id)
        try:
            with tracing.hearing(TICKETS.name, [order.ticket for order in held.orders]):
                await self._execute(run_id, held)
        except asyncio.CancelledError:
            raise
        except Exception as fault:  # noqa: BLE001 Postgres away, say: the leases run out, or are given back, and the tickets come again
            log.warning("tickets were not executed", extra={"fault": repr(fault)})
            with contextlib.suppress(Exception):
                await execution.give_back(self._database, run_id, held.fences)
            await self._nak(held.orders, FAILED_NAK_SECONDS)

    async def _execute(self, run_id: UUID, held: Held) -> None:
        orders = held.orders
        if not self._caller.has_room(orders[0].ticket, Load.of(self._held, orders[0].ticket)):
            await self._wait(orders)
            return
        held.left = sum(order.calls for order in orders)
        ranges = [order.range for order in orders]
        run, claimed = await self._claim(run_id, ranges)
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
            await execution.give_back(self._database, run_id, held.fences)
            held.fences, held.lost = {}, True
        await self._settle(held, claimed_all=len(claimed) == sum(len(each.ords) for each in ranges))

    async def _wait(self, orders: Sequence[Order]) -> None:
        """Returns tickets that there is no room for; of a ticket that was issued again, the latest message alone waits on."""
        for order in orders:
            if self._issues.superseded(order.ticket):
                with contextlib.suppress(*OUTAGES):
                    await order.message.ack()
            else:
                now = asyncio.get_running_loop().time()
                await self._nak([order], self._returns.seconds(order.ticket.connection_id, now))

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
        await self._nak(left, GIVEN_BACK_SECONDS if self._leaving else LEASED_NAK_SECONDS)
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

    async def _renew(self) -> None:
        """Every third of a lease: extends what is held, and ends the work on what is lost."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            for held in list(self._held):
                await self._keep_orders(held)
                if held.fences:
                    await self._renew_held(held)

    async def _keep_orders(self, held: Held) -> None:
        with contextlib.suppress(*OUTAGES):
            for order in held.orders:
                # One that was returned a moment ago would wait for a whole ack_wait again.
                if not order.message.is_acked:
                    await order.message.in_progress()

    async def _renew_held(self, held: Held) -> None:
        """Forgets leases that are lost. Those claimed since the renewal began are not among them, and one whose effect is
        being written only looks lost, because it was executed.
        """
        renewed = dict(held.fences)
        try:
            kept = await execution.renew(self._database, held.run_id, renewed, self._lease)
        except Exception as fault:  # noqa: BLE001 tried again; the fence guards what comes of it
            log.warning("leases were not renewed", extra={"fault": repr(fault)})
            return
        gone = [ord_ for ord_ in renewed if ord_ not in kept and ord_ in held.fences and ord_ not in held.writing]
        for ord_ in gone:
            del held.fences[ord_]
        if gone and not held.fences and held.task is not None:
            held.task.cancel()

    async def _hear_cancelled(self) -> None:
        """Ends calls of cancelled runs at once; the renewal notices it too, only later."""
        await self._broker.ready()

        async def heard(message: Msg) -> None:
            run_id = UUID(message.data.decode())
            for held in list(self._held):
                if held.run_id == run_id and held.task is not None:
                    held.task.cancel()

        await self._broker.client.subscribe(CANCELLED_SUBJECT, cb=heard)

    async def _finish(self) -> None:
        """On the way out: calls that are under way, and paid for, may end; those that wait for a slot never begin."""
        ends = asyncio.get_running_loop().time() + FINISH_SECONDS
        while self._held and asyncio.get_running_loop().time() < ends:
            for held in self._held:
                self._governor.turn_away(held.calls)  # again and again: some were about to wait
            await asyncio.wait([held.task for held in self._held if held.task is not None], timeout=FINISH_LOOK_SECONDS)

    async def _give_up(self) -> None:
        """Last: other workers get the cases and tickets at once, and no expiry is counted."""
        tasks = [held.task for held in self._held if held.task is not None]
        unfinished = [(held.run_id, dict(held.fences)) for held in self._held if held.fences]
        orders = [order for held in self._held for order in held.orders]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            for run_id, fences in unfinished:
                await execution.give_back(self._database, run_id, fences)
        await self._nak(orders, GIVEN_BACK_SECONDS)

    async def _nak(self, orders: Sequence[Order], seconds: float) -> None:
        # Never without a delay: a bare nak comes back within a millisecond.
        for order in orders:
            with contextlib.suppress(*OUTAGES):  # one may be acknowledged already
                await order.message.nak(delay=seconds * random.uniform(0.8, 1.2))  # noqa: S311 spreads load, guards nothing
