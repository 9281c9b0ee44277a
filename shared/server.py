"""A gRPC server's life: start, ready, serve, drain. One event loop per process."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from shared import observe, tls, tracing
from shared.interceptors import Boundary, Context

GRACE_SECONDS = 10.0
OPTIONS = (
    # Above the gateway's own limit: past this one a body would come back as 429.
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.max_metadata_size", 64 << 10),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
    # Browsers give up for good on a refused event stream: a crowd that reconnects after a restart must get in at once.
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class App:
    """One service, plugged together. `ready` returns when it can serve; `tasks` then run until the drain, and `beneath` what they
    rely on, until they have ended; `drain` comes after them, before the server stops; `close` is last.
    """

    name: str
    listen: str
    boundary: Boundary
    register: Callable[[grpc.aio.Server], None]
    ready: Callable[[], Awaitable[None]]
    tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    beneath: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    drain: Callable[[], Awaitable[None]] | None = None
    close: Callable[[], Awaitable[None]] | None = None
    metrics_listen: str = ""
    certificates: tls.Files | None = None
    health_listen: str = ""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs a service's main coroutine."""
    uvloop.run(main)


async def serve(app: App) -> None:
    """Serves until SIGTERM or SIGINT, or until a task fails: then raises, and the process is started anew."""
    server = grpc.aio.server(interceptors=[app.boundary], options=OPTIONS)
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    app.register(server)
    if not _bound(server, app):
        raise OSError(f"{app.listen} is taken")
    probes = await _answering_probes(app, health)
    observe.serve_metrics(app.metrics_listen)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await _say(health, app.name, health_pb2.HealthCheckResponse.NOT_SERVING)
    await server.start()
    try:
        await _until(stop, app, health)
    finally:
        await _stop(server, app)
        if probes is not None:
            await probes.stop(None)
        tracing.stop()


def _bound(server: grpc.aio.Server, app: App) -> int:
    if app.certificates is None:
        return server.add_insecure_port(app.listen)
    return server.add_secure_port(app.listen, tls.server_credentials(app.certificates))


async def _answering_probes(app: App, health: HealthServicer) -> grpc.aio.Server | None:
    """grpc.health alone, in plaintext: Kubernetes's probes know no TLS, and could show no certificate."""
    if not app.health_listen:
        return None
    server = grpc.aio.server(options=OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if not server.add_insecure_port(app.health_listen):
        raise OSError(f"{app.health_listen} is taken")
    await server.start()
    return server


async def _until(stop: asyncio.Event, app: App, health: HealthServicer) -> None:
    waiting: asyncio.Task[Any] = asyncio.create_task(stop.wait())
    ready = asyncio.ensure_future(app.ready())
    await asyncio.wait({waiting, ready}, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        ready.cancel()
        return
    ready.result()
    beneath = [asyncio.create_task(task()) for task in (*app.beneath, observe.watch_loop)]
    tasks = [asyncio.create_task(task()) for task in app.tasks]
    await _say(health, app.name, health_pb2.HealthCheckResponse.SERVING)
    log.info("serving", extra={"listen": app.listen})
    done, _ = await asyncio.wait({waiting, *tasks, *beneath}, return_when=asyncio.FIRST_COMPLETED)
    log.info("draining")
    await _say(health, app.name, health_pb2.HealthCheckResponse.NOT_SERVING)
    for ending in (tasks, beneath):
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
    for task in done - {waiting}:
        task.result()


async def _stop(server: grpc.aio.Server, app: App) -> None:
    if app.drain is not None:
        await app.drain()
    await server.stop(GRACE_SECONDS)
    if app.close is not None:
        with contextlib.suppress(Exception):
            await app.close()


async def _say(health: HealthServicer, name: str, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
    # "" stays SERVING for as long as the process lives: liveness must not depend on Postgres or NATS.
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    await health.set(name, status)


async def answer_with(context: Context, http_code: int) -> None:
    """Says which 2xx status the gateway is to answer; for gRPC clients a success is a success."""
    await context.send_initial_metadata((("x-http-code", str(http_code)),))
