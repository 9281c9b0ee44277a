"""Tickets as the work queue brings them, and what a worker holds while it executes them."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg

from assay.runner.internal.v1 import events_pb2
from services.runner.entities import Range, held_for

SOON_SECONDS, APART_SECONDS = 0.25, 0.005
MOST_CONNECTIONS = 1_000
MOST_ISSUES = 20_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """A ticket as it came, with its message."""

    message: Msg
    ticket: events_pb2.Ticket

    @property
    def run_id(self) -> UUID:
        """The run that it belongs to."""
        return UUID(self.ticket.run_id)

    @property
    def range(self) -> Range:
        """The cases that it covers."""
        return Range(self.ticket.first_ord, self.ticket.last_ord)

    @property
    def calls(self) -> int:
        """How many calls it makes at once; 0 where the target answers in the worker itself."""
        return 0 if self.ticket.at_once else self.ticket.conversations or len(self.range.ords)


def read_order(message: Msg) -> Order | None:
    """None for what is no ticket: refused for good, since it would come again for ever."""
    try:
        order = Order(message, events_pb2.Ticket.FromString(message.data))
        return order if order.run_id and UUID(order.ticket.connection_id) else None
    except (DecodeError, ValueError):
        log.error("a message of the work queue is no ticket")  # noqa: TRY400 its traceback says no more
        return None


@dataclass(eq=False)
class Held:
    """What a worker holds while it executes orders of one run: leases to renew, the ords whose effect is being written, and
    the task to end when the leases are lost.
    """

    orders: Sequence[Order]
    run_id: UUID
    fences: dict[int, int] = field(default_factory=dict)
    writing: set[int] = field(default_factory=set)
    lost: bool = False
    """Whether an effect didn't take place, so that the rows must tell what is left."""
    left: int = 0
    """Calls that it still makes at once; 0 until there is room for them."""
    task: asyncio.Task[None] | None = None
    calls: set[asyncio.Task[Any]] = field(default_factory=set)
    """What goes on for its cases side by side."""

    @property
    def slots(self) -> float:
        """Slots that are busy with it, of its run and its connection: a call that stands by for the next one takes half of one."""
        return self.left / held_for(1, conversations=self.orders[0].ticket.conversations > 0)


@dataclass(frozen=True)
class Load:
    """Slots of a run, and of its connection, that are busy with what a worker holds."""

    run: float = 0.0
    connection: float = 0.0

    @classmethod
    def of(cls, held: Iterable[Held], ticket: events_pb2.Ticket) -> "Load":
        """What is held already beside a ticket."""
        beside = [each for each in held if each.orders[0].ticket.connection_id == ticket.connection_id]
        ours = sum(each.slots for each in beside if each.orders[0].ticket.run_id == ticket.run_id)
        return cls(ours, sum(each.slots for each in beside))


class Returns:
    """When tickets that there was no room for come again: those of one connection one after the other, so that one always comes
    soon, and however many wait they cost no more messages.
    """

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def seconds(self, connection_id: str, now: float) -> float:
        """Seconds until the next one of this connection; `now` is of the event loop's clock."""
        comes = max(now + SOON_SECONDS, self._last.pop(connection_id, 0.0) + APART_SECONDS)
        self._last[connection_id] = comes  # last, as one that was just used
        while len(self._last) > MOST_CONNECTIONS:
            del self._last[next(iter(self._last))]
        return comes - now


class Issues:
    """The latest issue of each ticket that was seen to wait. A ticket that waits for long is issued again and again, and each of its
    messages would go round for as long as it does: those before the latest are needed no more.
    """

    def __init__(self) -> None:
        self._latest: dict[tuple[str, int], int] = {}

    def superseded(self, ticket: events_pb2.Ticket) -> bool:
        """Whether a later issue of this ticket waits as well."""
        name = (ticket.run_id, ticket.number)
        latest = max(ticket.epoch, self._latest.pop(name, 0))
        self._latest[name] = latest  # last, as one that was just seen
        if len(self._latest) > MOST_ISSUES:
            del self._latest[next(iter(self._latest))]
        return ticket.epoch < latest
