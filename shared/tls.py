"""TLS between processes: certificates come from files, and are read again when they rotate.

gRPC asks for the server's certificate at every handshake. A channel has no such hook, so ours is replaced by a new one. Old
connections end with the server's max_connection_age, so five minutes after a rotation nobody uses what was rotated away.
A connection to NATS lasts until it breaks; each is made with what the files hold then.
"""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import grpc

from shared.config import ConfigError

LOOK_EVERY_SECONDS = 1.0
OLD_CHANNEL_SECONDS = 60.0
# What a file system says of a file that was replaced: an atomic swap of links, as Kubernetes does it, changes all of these.
Stamp = tuple[tuple[int, int, int], ...]
Kind = Literal["unary_unary", "unary_stream", "stream_unary", "stream_stream"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Files:
    """Paths of PEM files: a certificate chain, its private key, and the authorities that the other side is checked against."""

    cert: str
    key: str
    ca: str


@dataclass(frozen=True, kw_only=True)
class Transport:
    """Settings of every service about its connections, beside their addresses. All are paths but `health_listen`."""

    tls_cert: str = ""  # empty, as the next two: plaintext
    tls_key: str = ""
    tls_ca: str = ""
    health_listen: str = ""  # host:port of grpc.health in plaintext, since Kubernetes's probes know no TLS; empty: none
    nats_ca: str = ""  # whom to trust where the URL is tls://; empty: the system's authorities
    nats_cert: str = ""
    nats_key: str = ""

    @property
    def tls(self) -> Files | None:
        """What gRPC is served and called with; None: plaintext. Raises ConfigError where one of the three is missing."""
        return _all_or_none("TLS", Files(self.tls_cert, self.tls_key, self.tls_ca))

    @property
    def nats_tls(self) -> Callable[[], ssl.SSLContext] | None:
        """What makes the context of each connection to a tls:// URL of NATS; None: the client's own default. Raises ConfigError,
        OSError, SSLError.
        """
        if not (self.nats_ca or self.nats_cert or self.nats_key):
            return None
        if bool(self.nats_cert) != bool(self.nats_key):
            raise ConfigError("ASSAY_NATS_CERT and ASSAY_NATS_KEY belong together")
        return Contexts(Files(self.nats_cert, self.nats_key, self.nats_ca)).current


def _all_or_none(name: str, files: Files) -> Files | None:
    given = [bool(path) for path in (files.cert, files.key, files.ca)]
    if any(given) and not all(given):
        raise ConfigError(f"ASSAY_{name}_CERT, ASSAY_{name}_KEY and ASSAY_{name}_CA belong together")
    return files if all(given) else None


@dataclass(frozen=True)
class Content:
    """What the files hold: PEM."""

    cert: bytes
    key: bytes
    ca: bytes


class Watched:
    """The files' content as of the last second. What is half written or doesn't fit together isn't taken; the old stays."""

    def __init__(self, files: Files) -> None:
        """Raises OSError or SSLError where there is nothing usable to begin with."""
        self._files = files
        self._stamp = self._stamped()
        self._content = self._read()
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS

    def current(self) -> Content:
        """What to use for the next connection; the same object for as long as nothing changed."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
            try:
                self._look()
            except (OSError, ssl.SSLError) as fault:
                log.warning("certificates can't be read again", extra={"fault": repr(fault), "file": self._files.cert})
        return self._content

    def _look(self) -> None:
        stamp = self._stamped()
        if stamp == self._stamp:
            return
        fresh = self._read()
        if self._stamped() == stamp:  # else they were being replaced meanwhile: looked at again in a second
            self._stamp = stamp
            self._content = fresh if fresh != self._content else self._content
            log.info("certificates were read again", extra={"file": self._files.cert})

    def _stamped(self) -> Stamp:
        found = [Path(path).stat() for path in (self._files.cert, self._files.key, self._files.ca)]
        return tuple((file.st_mtime_ns, file.st_ino, file.st_size) for file in found)

    def _read(self) -> Content:
        # Raises if the key isn't the certificate's, or if any of them is no PEM.
        ssl.create_default_context(cafile=self._files.ca).load_cert_chain(self._files.cert, self._files.key)
        return Content(*(Path(path).read_bytes() for path in (self._files.cert, self._files.key, self._files.ca)))


class Contexts:
    """A client's context as of the files now; of files that are missing or don't fit together, as of the last time that they did."""

    def __init__(self, files: Files) -> None:
        """Without a certificate none is shown, without authorities the system's are trusted. Raises OSError or SSLError."""
        self._files = files
        self._usable = self._made()

    def current(self) -> ssl.SSLContext:
        """What to make the next connection with."""
        # A new one, for whom a context has trusted once it trusts for good.
        try:
            self._usable = self._made()
        except (OSError, ssl.SSLError) as fault:
            log.warning("certificates can't be read again", extra={"fault": repr(fault), "file": self._files.cert or self._files.ca})
        return self._usable

    def _made(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._files.ca or None)
        if self._files.cert:
            context.load_cert_chain(self._files.cert, self._files.key)
        return context


def server_credentials(files: Files) -> grpc.ServerCredentials:
    """Credentials that refuse whoever shows no certificate of the authority. Raises OSError or SSLError."""
    watched = Watched(files)
    used = watched.current()

    def configured() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(used.key, used.cert)], root_certificates=used.ca)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        if watched.current() is used:
            return None  # as before
        used = watched.current()
        return configured()

    # None is gRPC's own word for "as before"; its types forgot it.
    return grpc.dynamic_ssl_server_credentials(configured(), fetch, require_client_authentication=True)  # type: ignore[arg-type]


class RotatingChannel(grpc.aio.Channel):
    """A channel that is replaced by a new one when its certificate was. Calls that have begun end on the old one."""

    def __init__(self, files: Files, dial: Callable[[grpc.ChannelCredentials], grpc.aio.Channel]) -> None:
        """Raises OSError or SSLError where there is nothing usable to begin with."""
        self._watched, self._dial = Watched(files), dial
        self._used = self._watched.current()
        self._channel = self._dialled()
        self._leaving: set[asyncio.Task[None]] = set()

    def _dialled(self) -> grpc.aio.Channel:
        used = self._used
        return self._dial(grpc.ssl_channel_credentials(used.ca, private_key=used.key, certificate_chain=used.cert))

    def _current(self) -> grpc.aio.Channel:
        if self._watched.current() is not self._used:
            old, self._used = self._channel, self._watched.current()
            self._channel = self._dialled()
            leaving = asyncio.ensure_future(old.close(OLD_CHANNEL_SECONDS))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        return self._channel

    def _calling(self, kind: Kind, *arguments: Any, **options: Any) -> Any:
        # Stubs ask once for what they call with; which channel that means is decided at each call.
        def call(*given: Any, **how: Any) -> Any:
            return getattr(self._current(), kind)(*arguments, **options)(*given, **how)

        return call

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        """What a stub calls a method with, as for the next three."""
        return self._calling("unary_unary", *arguments, **options)

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        """See unary_unary."""
        return self._calling("unary_stream", *arguments, **options)

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        """See unary_unary."""
        return self._calling("stream_unary", *arguments, **options)

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        """See unary_unary."""
        return self._calling("stream_stream", *arguments, **options)

    async def close(self, grace: float | None = None) -> None:
        """Hangs up, also what was still ending."""
        for leaving in list(self._leaving):
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
        await self._channel.close(grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_fault: object) -> None:
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 as gRPC declares it
        """The current channel's state."""
        return self._current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Returns when the current channel's state is another."""
        await self._current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Returns once the current channel is connected."""
        await self._current().channel_ready()
