"""NATS JetStream: one connection that heals itself, and the streams and consumers that it declares.

NATS is a disposable wake-up here: whatever happens to it, streams and consumers are declared anew and the outbox is read.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, NotFoundError, ServerError

from shared import observe
from shared.topics import EVENTS, WORK, Topic

GIGABYTE = 1 << 30
DAY = 24 * 3600.0
DUPLICATE_WINDOW = 120.0
LEAVE_SECONDS = 5.0
MAX_ACK_PENDING = 20_000
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


@contextlib.contextmanager
def _heeding_cancel() -> Iterator[None]:
    """A cancel that comes together with an answer ends the task: nats-py waits with wait_for, which loses it before Python 3.12."""
    task = asyncio.current_task()
    told = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > told:
            raise asyncio.CancelledError


def _told(fault: Exception) -> str:
    """What NATS answered stands in no repr, and what was never answered has no str."""
    return f"{fault!r}: {fault}"


async def _ended(task: asyncio.Task[None] | None) -> None:
    """Cancels until the task is over; once may not do, see _heeding_cancel."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


class _Client(Client):
    """A client that asks anew with which certificates, whenever it connects, and leaves no connection open."""

    def __init__(self, tls: Callable[[], ssl.SSLContext] | None) -> None:
        super().__init__()
        self._tls = tls

    @property
    def ssl_context(self) -> ssl.SSLContext:
        return self._tls() if self._tls else super().ssl_context

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:
            if self._transport:  # nats-py forgets a connection whose greeting fails, and makes another
                self._transport.close()  # type: ignore[no-untyped-call]
            raise

    async def leave(self) -> None:
        """Sends what is buffered and disconnects; a reconnection that is under way ends first."""
        if not self._transport:  # it never connected, which nats-py asserts
            return
        with contextlib.suppress(*OUTAGES):  # who is reconnecting can't be drained
            await asyncio.wait_for(self.drain(), LEAVE_SECONDS)
        # By itself nats-py waits for it no longer than a moment, and it may end by being connected.
        await _ended(self._reconnection_task)
        with contextlib.suppress(*OUTAGES):
            await asyncio.wait_for(self.close(), LEAVE_SECONDS)


@dataclass
class Broker:
    """The connection of one process. `start` returns at once: a service works without NATS, and catches up."""

    url: str
    name: str
    settings: StreamSettings = field(default_factory=StreamSettings)
    tls: Callable[[], ssl.SSLContext] | None = None

    def __post_init__(self) -> None:
        self._client = _Client(self.tls)
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
                log.warning("waiting for nats", extra={"fault": _told(outage)})
                with contextlib.suppress(Exception):
                    await self._client.leave()
                self._client = _Client(self.tls)
                await asyncio.sleep(0.5)
            else:
                self._connected.set()
                return

    async def declare(self) -> None:
        """Declares the streams; does nothing where they stand already. Raises what NATS says, but of other settings that it refuses."""
        with _heeding_cancel():
            for config in streams(self.settings):
                try:
                    await self.jetstream.add_stream(config)
                except (BadRequestError, ServerError):
                    if not await self._stands(config):
                        raise
                    await self._change(config)

    async def _stands(self, config: StreamConfig) -> bool:
        try:
            await self.jetstream.stream_info(config.name or "")
        except NotFoundError:
            return False
        return True

    async def _change(self, config: StreamConfig) -> None:
        try:
            await self.jetstream.update_stream(config)
        except (BadRequestError, ServerError) as refused:
            # More copies than there are servers, or more bytes than the store has: no reason to publish nothing any more.
            log.error("nats keeps a stream as it was", extra={"stream": config.name, "fault": _told(refused)})  # noqa: TRY400

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
        with _heeding_cancel():
            try:
                await self.jetstream.add_consumer(topic.stream, config)
            except NotFoundError:
                await self.declare()
                await self.jetstream.add_consumer(topic.stream, config)

    async def nothing_under_way(self, topic: Topic, durable: str) -> bool:
        """Whether NATS has nothing of this topic left to deliver: no message pending, none unacked, or no consumer at all."""
        try:
            with _heeding_cancel():
                info = await self.jetstream.consumer_info(topic.stream, durable, timeout=2)
        except OUTAGES:
            return True
        return not info.num_pending and not info.num_ack_pending

    async def publish(self, topic: Topic, payload: bytes, headers: Mapping[str, str]) -> None:
        """Publishes and awaits the PubAck. Raises what NATS says."""
        with _heeding_cancel():
            await self.jetstream.publish(topic.subject, payload, timeout=5, headers=dict(headers), stream=topic.stream)

    async def _on_error(self, error: Exception) -> None:
        log.warning("nats", extra={"fault": repr(error)})

    async def _on_reconnect(self) -> None:
        # The server may have come back with another store, or none.
        with contextlib.suppress(*OUTAGES):
            await self.declare()

    async def close(self) -> None:
        """Sends what is buffered and disconnects, also while it is connecting."""
        await _ended(self._task)
        await self._client.leave()
