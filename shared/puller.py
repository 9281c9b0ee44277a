"""Pulling one JetStream consumer's messages, so that none of them ever waits for a whole ack_wait because somebody left."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.errors import NotFoundError

from shared.jetstream import OUTAGES, Broker
from shared.topics import Topic

NO_RESPONDERS = "503"
FETCH_SECONDS = 2.0
GIVE_BACK_SECONDS = 2.0
FINISH_SECONDS = 8.0
"""After SIGTERM: what was pulled and begun may end within this time; what hasn't is given back."""
LOOK_SECONDS = 0.05
MARGIN_SECONDS = 0.25
LATE_SECONDS = 5.0
"""A busy server lets a request expire so much later than we count at most."""
SETTLE_SECONDS = 0.5
"""After the last request's end: a replicated consumer's message is sent once its delivery is agreed upon, by some servers after the
status that ends its request (nats-server's pull requests 6792 and 7046).
"""


@dataclass
class _Request:
    room: int
    left: int
    until: float
    """By the event loop's clock: then NATS has ended it, however late."""


class _Requests:
    """What NATS was asked for. A message doesn't tell which request it answers, only a status does: `wanted`, what may still come
    before it is time to ask again, is of the last one alone, so that a request which died with its server holds up nothing.
    """

    def __init__(self) -> None:
        self.last = 0
        self.wanted = 0
        self._open: dict[int, _Request] = {}

    @property
    def open(self) -> bool:
        """Whether NATS may still answer any of them."""
        return bool(self._open)

    def add(self, room: int, now: float, until: float) -> int:
        """The number of another one."""
        while self._open and (oldest := self._open[next(iter(self._open))]).until < now:
            # Lost, or it would have been ended: what was counted for it came for those after it.
            del self._open[next(iter(self._open))]
            for _ in range(oldest.room - oldest.left):
                self._count()
        self.last += 1
        self.wanted = room
        self._open[self.last] = _Request(room, room, until)
        return self.last

    def answered(self) -> None:
        """A message came."""
        self.wanted = max(0, self.wanted - 1)
        self._count()

    def _count(self) -> None:
        """NATS answers the oldest first, and says nothing when it has answered in full."""
        number = next(iter(self._open), None)
        if number is not None:
            self._open[number].left -= 1
            if not self._open[number].left:
                del self._open[number]

    def ended(self, number: int) -> None:
        """A status came for this one; those before it had ended by then."""
        if number == self.last:
            self.wanted = 0
        for each in [each for each in self._open if each <= number]:
            del self._open[each]


class Puller:
    """Never asks for more than the caller has room for.

    nats-py's own fetch loses the next message for a whole ack_wait when it is cancelled, so requests are kept open here
    across calls: what arrives late is simply returned next time.
    """

    def __init__(self, broker: Broker, topic: Topic, durable: str, ack_wait: float) -> None:
        self._broker, self._topic, self._durable, self._ack_wait = broker, topic, durable, ack_wait
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscription: Subscription | None = None
        self._gone: NotFoundError | None = None
        self._inbox = ""
        self._requests = _Requests()
        self._deadline = 0.0

    async def fetch(self, room: int, wait: float) -> list[Msg]:
        """At most `room` messages; empty after `wait` seconds without any. Raises what NATS says."""
        gone, self._gone = self._gone, None
        if gone is not None:
            raise gone
        if self._queue.empty():
            await self._ask(room, wait)
        messages = await self._first(wait)
        while len(messages) < room and not self._queue.empty():
            try:
                self._take(self._queue.get_nowait(), messages)
            except NotFoundError as fault:  # told next time: what came before it is at hand, and would be lost for an ack_wait
                self._gone = fault
                break
        return messages

    async def _first(self, wait: float) -> list[Msg]:
        messages: list[Msg] = []
        ends = asyncio.get_running_loop().time() + wait + 2 * MARGIN_SECONDS
        while not messages and (left := ends - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(left):  # wait_for would swallow a cancel that comes together with a message
                    message = await self._queue.get()
            except TimeoutError:
                break
            if not self._take(message, messages) and not self._requests.wanted:
                break
        return messages

    async def _ask(self, room: int, wait: float) -> None:
        now = asyncio.get_running_loop().time()
        if self._requests.wanted and now < self._deadline:
            return
        if not self._inbox:
            await self._broker.ready()
            await self._declare()
        self._deadline = now + wait + MARGIN_SECONDS
        number = self._requests.add(room, now, self._deadline + LATE_SECONDS)  # first: cancelled in the middle, it may have been sent
        body = {"batch": room, "expires": int(wait * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._topic.stream}.{self._durable}"
        await self._broker.client.publish(subject, orjson.dumps(body), reply=f"{self._inbox}.{number}")

    async def _declare(self) -> None:
        await self._broker.declare_consumer(self._topic, self._durable, self._ack_wait)
        inbox = self._broker.client.new_inbox()
        self._subscription = await self._broker.client.subscribe(f"{inbox}.*", cb=self._queue.put, pending_msgs_limit=-1)
        self._inbox = inbox

    def _take(self, message: Msg, messages: list[Msg]) -> bool:
        """Sorts a message from a status; a status ends its request."""
        status = (message.headers or {}).get("Status")
        if status is None or message.data:
            self._requests.answered()
            messages.append(message)
            return True
        self._requests.ended(int(message.subject.rpartition(".")[2]))
        if status in {NO_RESPONDERS, "409"}:
            raise NotFoundError(description=f"consumer {self._durable} is gone: {status}")
        return False

    async def redeclare(self) -> None:
        """Declares stream and consumer again, after NATS said that one is missing. Raises what NATS says."""
        await self._broker.declare_consumer(self._topic, self._durable, self._ack_wait)

    async def give_back(self) -> None:
        """Returns what arrived and was never taken, and what still comes, so that another process gets it at once."""
        await self.hand_on()
        if self._subscription is None:
            return
        await self._let_expire()
        subscription, self._subscription = self._subscription, None
        with contextlib.suppress(*OUTAGES):
            await asyncio.wait_for(subscription.drain(), GIVE_BACK_SECONDS)  # type: ignore[no-untyped-call]
        await self.hand_on()

    async def hand_on(self) -> None:
        """Returns what arrived and was not taken yet: whoever is busy for long keeps it from others, or lets its ack_wait run out."""
        while not self._queue.empty():
            await self._return(self._queue.get_nowait())

    async def _let_expire(self) -> None:
        """Waits until no request is open. Unsubscribing instead would lose messages for a whole ack_wait: the server that leads
        the consumer in a cluster learns of it a moment later, and meanwhile sends them to nobody.
        """
        await self._hand_on_until(self._deadline + LATE_SECONDS, lambda: not self._requests.open)
        await self._hand_on_until(asyncio.get_running_loop().time() + SETTLE_SECONDS, lambda: False)

    async def _hand_on_until(self, ends: float, over: Callable[[], bool]) -> None:
        # Looks again and again: in a task that was cancelled, asyncio.timeout ends with CancelledError before Python 3.11.3.
        while not over() and self._broker.connected and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(LOOK_SECONDS)
            await self.hand_on()

    async def _return(self, message: Msg) -> None:
        arrived: list[Msg] = []
        with contextlib.suppress(NotFoundError):
            self._take(message, arrived)
        with contextlib.suppress(*OUTAGES):
            for each in arrived:
                await each.nak()
