"""One process of a service: what all of them are told, and plugged together from, in the same way."""

import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc

from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.common.internal.v1.outbox_pb2_grpc import OutboxServiceStub
from shared import config, observe, server, tracing
from shared.channels import Authenticated, ServiceIdentity, open_channel
from shared.consumer import Ear, Hearing
from shared.gaps import GapWatch
from shared.identity import Authenticate, Identifier, read_issuers, through_catalog
from shared.interceptors import Boundary
from shared.jetstream import GIGABYTE, Broker, StreamSettings
from shared.postgres import Database, until_migrated
from shared.relay import Relay
from shared.tls import Transport

ADDRESS = "_address"
Task = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, kw_only=True)
class Settings(Transport):
    """Settings of every service; each is ASSAY_ and its name in upper case. A service adds its own, and `<peer>_address` for each
    of its peers.
    """

    postgres_url: str
    nats_url: str
    listen: str
    service_key: str
    jwt_issuers: str
    instance: str
    metrics_listen: str = ""
    requests_per_second: float = 0.0  # per credential and process; 0: no limit
    log_level: str = "info"
    nats_replicas: int = 1  # of each stream; 3 where NATS is a cluster
    nats_events_bytes: int = 2 * GIGABYTE  # that the stream EVENTS may hold, of each replica; the oldest give way

    @property
    def peers(self) -> dict[str, str]:
        """Peer → its address, any gRPC target."""
        names = [field.name for field in fields(self) if field.name.endswith(ADDRESS)]
        return {name.removesuffix(ADDRESS): getattr(self, name) for name in names}


S = TypeVar("S", bound=Settings)


def start(service: str, kind: type[S]) -> S:
    """Reads the settings from the environment; from here on there are logs and traces. Raises ConfigError."""
    settings = config.read(kind, os.environ)
    observe.configure_logs(service, settings.instance, settings.log_level)
    tracing.start(service, settings.instance, os.environ)
    return settings


def open_broker(settings: Settings) -> Broker:
    """The connection to NATS, not begun yet. Raises ConfigError, and OSError where its certificates can't be read."""
    streams = StreamSettings(settings.nats_replicas, settings.nats_events_bytes)
    return Broker(settings.nats_url, settings.instance, streams, settings.nats_tls)


def boundary(settings: Settings, authenticate: Authenticate, origins: Sequence[str] = ()) -> Boundary:
    """What is around every call; `origins` may write with a cookie. Raises ValueError for a wrong ASSAY_JWT_ISSUERS."""
    identifier = Identifier(read_issuers(settings.jwt_issuers), settings.service_key, authenticate, origins)
    return Boundary(identifier, settings.requests_per_second)


def origin(url: str) -> str:
    """What a browser says of a page below this URL, as ASSAY_PUBLIC_URL: scheme and host alone."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}"


@dataclass(frozen=True)
class Peers:
    """One channel per peer for the life of the process, and as whom we call."""

    identity: ServiceIdentity
    channels: Mapping[str, grpc.aio.Channel]

    @property
    def authenticate(self) -> Authenticate:
        """Has the catalog tell whose credential it is."""
        return through_catalog(Authenticated(CatalogInternalServiceStub(self.channels["catalog"]), self.identity))

    def outboxes(self, producers: Iterable[str]) -> dict[str, Authenticated]:
        """What lost events are read from, by producer."""
        return {producer: Authenticated(OutboxServiceStub(self.channels[producer]), self.identity) for producer in producers}

    async def close(self) -> None:
        """Hangs up."""
        for channel in self.channels.values():
            await channel.close()


@dataclass(frozen=True)
class Process:
    """What a process is connected to. `schema` is the migration that its code needs at least."""

    service: str
    schema: str
    settings: Settings
    database: Database
    broker: Broker
    peers: Peers

    def relay(self) -> Relay:
        """What publishes the outbox; every commit wakes it from now on."""
        relay = Relay(self.settings.postgres_url, self.service, self.broker)
        self.database.committed = relay.wake
        return relay

    def hearing(self, hearings: Sequence[Hearing], ack_wait: float) -> list[Task]:
        """What hears these topics, and what fetches from their producers whatever never came."""
        ear = Ear(self.service, self.broker, ack_wait)
        watch = GapWatch(ear, self.database, self.peers.outboxes({hearing.topic.producer for hearing in hearings}))
        return [*(partial(ear.hear, hearing) for hearing in hearings), partial(watch.watch, hearings)]

    def app(
        self,
        around: Boundary,
        register: Callable[[grpc.aio.Server], None],
        tasks: Sequence[Task],
        *,
        beneath: Sequence[Task] = (),
        drain: Callable[[], Awaitable[None]] | None = None,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> server.App:
        """The service; `close` lets go of what is its own, before the connections."""

        async def close_all() -> None:
            if close is not None:
                await close()
            await self.broker.close()
            await self.peers.close()
            await self.database.close()

        return server.App(
            name=self.service,
            listen=self.settings.listen,
            boundary=around,
            register=register,
            ready=self._ready,
            tasks=tasks,
            beneath=beneath,
            drain=drain,
            close=close_all,
            metrics_listen=self.settings.metrics_listen,
            certificates=self.settings.tls,
            health_listen=self.settings.health_listen,
        )

    async def _ready(self) -> None:
        self.broker.start()
        await until_migrated(self.database, self.schema)


def connect(service: str, schema: str, settings: Settings, database: Database) -> Process:
    """What the settings name; nothing is dialled yet. Raises ConfigError, and OSError where certificates can't be read."""
    channels = {peer: open_channel(address, settings.tls) for peer, address in settings.peers.items()}
    peers = Peers(ServiceIdentity(service, settings.service_key), channels)
    return Process(service, schema, settings, database, open_broker(settings), peers)
