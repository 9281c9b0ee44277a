"""NATS JetStream: one connection that heals itself, the streams it declares, and pulling from a consumer.

NATS is a disposable wake-up here: whatever happens to it, streams and consumers are declared anew and the outbox is read.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import nats
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, NotFoundError

from shared import observe
from shared.topics import EVENTS, WORK, Topic

GIGABYTE = 1 << 30
DAY = 24 * 3600.0
DUPLICATE_WINDOW = 120.0
MAX_ACK_PENDING = 20_000
NO_RESPONDERS = "503"
FETCH_SECONDS = 2.0
GIVE_BACK_SECONDS = 2.0
FINISH_SECONDS = 8.0
"""After SIGTERM: what was pulled and begun may end within this time; what hasn't is given back."""
# Anything that means: not now. Everything else is a fault of ours.
OUTAGES = (nats.errors.Error, TimeoutError, asyncio.TimeoutError, OSError)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StreamSettings:
    """What an operator may set about the streams: copies of each message, and the size of EVENTS in bytes."""

    replicas: int = 1
    events_max_bytes: int = 2 * GIGABYTE


def streams(settings: StreamSettings) -> tuple[StreamConfig, ...]:
    """WORK holds tickets until they are done; EVENTS holds the rest for a day, the oldest giving way."""
    return (
        StreamConfig(
            name=WORK,
            subjects=[f"assay.{WORK.lower()}.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            max_msgs=1_000_000,
            storage=StorageType.FILE,
            num_replicas=settings.replicas,
            duplicate_window=DUPLICATE_WINDOW,
        ),
        StreamConfig(
            name=EVENTS,
            subjects=[f"assay.{EVENTS.lower()}.>"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            max_age=DAY,
            max_bytes=settings.events_max_bytes,
            storage=StorageType.FILE,
            num_replicas=settings.replicas,
            duplicate_window=DUPLICATE_WINDOW,
        ),
    )


class _Client(Client):
    """A client that asks anew with which certificates, whenever it connects."""

    def __init__(self, tls: Callable[[], ssl.SSLContext] | None) -> None:
        super().__init__()
        self._tls = tls

    @property
    def ssl_context(self) -> ssl.SSLContext:
        return self._tls() if self._tls else super().ssl_context


@dataclass
class Broker:
    """The connection of one process. `start` returns at once: a service works without NATS, and catches up."""

    url: str
    name: str
    settings: StreamSettings = field(default_factory=StreamSettings)
    tls: Callable[[], ssl.SSLContext] | None = None

    def __post_init__(self) -> None:
        self._client: Client = _Client(self.tls)
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection right now."""
        return self._client.is_connected

    @property
    def client(self) -> Client:
        """The client, for core messages: the wake-ups that may be lost."""
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """The JetStream interface of the connection."""
        return self._client.jetstream(timeout=5)

    def start(self) -> None:
        """Begins to connect, for as long as it takes."""
        observe.NATS_CONNECTED.set_function(lambda: float(self.connected))
        self._task = asyncio.create_task(self._connect())

    async def ready(self) -> None:
        """Returns once the first connection stands and the streams are declared."""
        await self._connected.wait()

    async def _connect(self) -> None:
        while True:
            try:
                await self._client.connect(
                    self.url.split(","),  # any server of a cluster tells of the others, but one that is away tells nothing
                    name=self.name,
                    max_reconnect_attempts=-1,  # the default gives up after 60 tries, and the client is dead for ever
                    reconnect_time_wait=0.25,  # type: ignore[arg-type]  # seconds; slept as they are
                    connect_timeout=2,
                    ping_interval=5,
                    max_outstanding_pings=2,
                    error_cb=self._on_error,
                    reconnected_cb=self._on_reconnect,
                )
                await self.declare()
            except Exception as outage:  # noqa: BLE001 whatever it is: nobody awaits this task, and all wait for what it does
                log.warning("waiting for nats", extra={"fault": repr(outage)})
                with contextlib.suppress(Exception):
                    await self._client.close()
                self._client = _Client(self.tls)
                await asyncio.sleep(0.5)
            else:
                self._connected.set()
                return

    async def declare(self) -> None:
        """Declares the streams; does nothing where they stand already. Raises what NATS says."""
        for config in streams(self.settings):
            try:
                await self.jetstream.add_stream(config)
            except BadRequestError:  # it stands with other settings
                await self.jetstream.update_stream(config)

    async def declare_consumer(self, topic: Topic, durable: str, ack_wait: float) -> None:
        """Declares a pull consumer of one topic and its stream. Raises what NATS says."""
        config = ConsumerConfig(
            durable_name=durable,
            filter_subject=topic.subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait,
            max_deliver=-1,
            max_ack_pending=MAX_ACK_PENDING,
        )
        try:
            await self.jetstream.add_consumer(topic.stream, config)
        except NotFoundError:
            await self.declare()
            await self.jetstream.add_consumer(topic.stream, config)

    async def nothing_under_way(self, topic: Topic, durable: str) -> bool:
        """Whether NATS has nothing of this topic left to deliver: no message pending, none unacked, or no consumer at all."""
        try:
            info = await self.jetstream.consumer_info(topic.stream, durable, timeout=2)
        except OUTAGES:
            return True
        return not info.num_pending and not info.num_ack_pending

    async def publish(self, topic: Topic, payload: bytes, headers: Mapping[str, str]) -> None:
        """Publishes and awaits the PubAck. Raises what NATS says."""
        await self.jetstream.publish(topic.subject, payload, timeout=5, headers=dict(headers), stream=topic.stream)

    async def _on_error(self, error: Exception) -> None:
        log.warning("nats", extra={"fault": repr(error)})

    async def _on_reconnect(self) -> None:
        # The server may have come back with another store, or none.
        with contextlib.suppress(*OUTAGES):
            await self.declare()

    async def close(self) -> None:
        """Sends what is buffered and disconnects."""
        if self._task is not None:
            self._task.cancel()
        with contextlib.suppress(*OUTAGES):
            await asyncio.wait_for(self._client.drain(), 5)
        with contextlib.suppress(*OUTAGES):  # a client that is reconnecting can't be drained
            await self._client.close()


class Puller:
    """Pulls one consumer's messages, never asking for more than the caller has room for.

    nats-py's own fetch loses the next message for a whole ack_wait when it is cancelled, so requests are kept open here
    across calls: what arrives late is simply returned next time.
    """

    def __init__(self, broker: Broker, topic: Topic, durable: str, ack_wait: float) -> None:
        self._broker, self._topic, self._durable, self._ack_wait = broker, topic, durable, ack_wait
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscription: Subscription | None = None
        self._gone: NotFoundError | None = None
        self._inbox = ""
        self._request = 0
        self._open = 0
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
        ends = asyncio.get_running_loop().time() + wait + 0.5
        while not messages and (left := ends - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(left):  # wait_for would swallow a cancel that comes together with a message
                    message = await self._queue.get()
            except TimeoutError:
                self._open = 0
                break
            if not self._take(message, messages) and not self._open:
                break
        return messages

    async def _ask(self, room: int, wait: float) -> None:
        now = asyncio.get_running_loop().time()
        if self._open and now < self._deadline:
            return
        if not self._inbox:
            await self._broker.ready()
            await self._declare()
        self._request += 1
        body = {"batch": room, "expires": int(wait * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._topic.stream}.{self._durable}"
        self._open, self._deadline = room, now + wait + 0.25  # first: cancelled in the middle, it may have been sent
        await self._broker.client.publish(subject, orjson.dumps(body), reply=f"{self._inbox}.{self._request}")

    async def _declare(self) -> None:
        await self._broker.declare_consumer(self._topic, self._durable, self._ack_wait)
        inbox = self._broker.client.new_inbox()
        self._subscription = await self._broker.client.subscribe(f"{inbox}.*", cb=self._queue.put, pending_msgs_limit=-1)
        self._inbox = inbox

    def _take(self, message: Msg, messages: list[Msg]) -> bool:
        """Sorts a message from a status; a status ends its request."""
        status = (message.headers or {}).get("Status")
        if status is None or message.data:
            self._open = max(0, self._open - 1)
            messages.append(message)
            return True
        if message.subject.rpartition(".")[2] == str(self._request):
            self._open = 0
        if status in {NO_RESPONDERS, "409"}:
            raise NotFoundError(description=f"consumer {self._durable} is gone: {status}")
        return False

    async def redeclare(self) -> None:
        """Declares stream and consumer again, after NATS said that one is missing. Raises what NATS says."""
        self._open = 0
        await self._broker.declare_consumer(self._topic, self._durable, self._ack_wait)

    async def give_back(self) -> None:
        """Returns what arrived and was never taken, and what still comes, so that another process gets it at once."""
        await self._let_expire()
        if self._subscription is not None:
            with contextlib.suppress(*OUTAGES):
                await asyncio.wait_for(self._subscription.drain(), GIVE_BACK_SECONDS)  # type: ignore[no-untyped-call]
        while not self._queue.empty():
            await _return(self._queue.get_nowait())

    async def _let_expire(self) -> None:
        """Waits until no request is open. Unsubscribing instead would lose messages for a whole ack_wait: the server that leads
        the consumer in a cluster learns of it a moment later, and meanwhile sends them to nobody.
        """
        while self._open and (left := self._deadline - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(left):
                    message = await self._queue.get()
            except TimeoutError:
                break
            with contextlib.suppress(NotFoundError):
                self._take(message, [])
            await _return(message)


async def _return(message: Msg) -> None:
    if message.reply and not (message.headers or {}).get("Status"):
        with contextlib.suppress(*OUTAGES):
            await message.nak()
