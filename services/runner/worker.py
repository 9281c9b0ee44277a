"""The worker: pulls tickets, holds them while their cases are executed, and on its way out gives back what it still has."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from services.runner.calls import Caller
from services.runner.execution import GIVEN_BACK_SECONDS, Execution, return_orders
from services.runner.governor import Governor
from services.runner.operations import execution
from services.runner.orders import Held, Issues, Load, Order, Returns, read_order
from shared import observe, tracing
from shared.jetstream import OUTAGES, Broker
from shared.postgres import Database
from shared.puller import FETCH_SECONDS, FINISH_SECONDS, Puller
from shared.topics import TICKETS

DURABLE = "runner-tickets"
CANCELLED_SUBJECT = "assay.cancelled"
MAX_TICKETS = 64
BUILTIN_BATCH = 8
FAILED_NAK_SECONDS = 0.25
FINISH_LOOK_SECONDS = 0.1

log = logging.getLogger(__name__)


class Worker:
    """One per process."""

    def __init__(self, database: Database, broker: Broker, governor: Governor, caller: Caller, lease: timedelta) -> None:
        self._database, self._broker, self._governor, self._caller = database, broker, governor, caller
        self._execution = Execution(database, caller, lease)
        self._lease = lease
        self._held: set[Held] = set()
        self._freed = asyncio.Event()
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
            self._execution.leave()
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
        held.task = asyncio.create_task(self._work(held))
        self._held.add(held)
        held.task.add_done_callback(lambda _: self._end(held))

    def _end(self, held: Held) -> None:
        self._held.discard(held)
        self._freed.set()

    async def _work(self, held: Held) -> None:
        ticket = held.orders[0].ticket
        observe.name(run_id=held.run_id, workspace_id=ticket.workspace_id)
        try:
            with tracing.hearing(TICKETS.name, [order.ticket for order in held.orders]):
                if self._caller.has_room(ticket, Load.of(self._held, ticket)):
                    await self._execution.execute(held)
                else:
                    await self._wait(held.orders)
        except Exception as fault:  # noqa: BLE001 Postgres away, say: the leases run out, or are given back, and the tickets come again
            log.warning("tickets were not executed", extra={"fault": repr(fault)})
            with contextlib.suppress(Exception):
                await execution.give_back(self._database, held.run_id, held.fences)
            await return_orders(held.orders, FAILED_NAK_SECONDS)

    async def _wait(self, orders: Sequence[Order]) -> None:
        """Returns tickets that there is no room for; of a ticket that was issued again, the latest message alone waits on."""
        for order in orders:
            if self._issues.superseded(order.ticket):
                with contextlib.suppress(*OUTAGES):
                    await order.message.ack()
            else:
                now = asyncio.get_running_loop().time()
                await return_orders([order], self._returns.seconds(order.ticket.connection_id, now))

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
        await return_orders(orders, GIVEN_BACK_SECONDS)
