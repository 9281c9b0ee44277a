"""A server's life: start, ready, serve, drain."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local import ports
from shared.identity import Credential, Identifier, Principal
from shared.interceptors import Boundary
from shared.server import App, serve
from tests.shared.waiting import until

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def _nobody(_credential: Credential) -> Principal | None:
    return None


async def _ready() -> None:
    """Ready at once."""


def an_app(listen: str, *tasks: Callable[[], Coroutine[Any, Any, None]], ready: Callable[[], Awaitable[None]] = _ready, **said: Any) -> App:
    return App("tests", listen, Boundary(Identifier((), "", _nobody)), lambda _server: None, ready, tasks, **said)


@pytest.fixture
def listen() -> str:
    return f"127.0.0.1:{ports.any_free()}"


async def says(listen: str, name: str) -> int | None:
    """What the health service says of a name; None while nobody answers."""
    async with grpc.aio.insecure_channel(listen) as channel:
        with contextlib.suppress(grpc.aio.AioRpcError):
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            return int(answer.status)
    return None


async def until_says(listen: str, name: str, status: int) -> None:
    async def so() -> bool:
        return await says(listen, name) == status

    await until(so)


async def test_a_service_serves_once_it_is_ready_and_drains_when_it_is_told_to(listen: str) -> None:
    order: list[str] = []
    begin = asyncio.Event()

    async def work() -> None:
        order.append("works")
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.05)  # gives back what it has
            order.append("gave back")

    async def note(what: str) -> None:
        order.append(what)

    async def keep_lease() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            order.append("left")

    ends = {"drain": lambda: note("drained"), "close": lambda: note("closed")}
    app = an_app(listen, work, beneath=[keep_lease], ready=begin.wait, **ends)  # type: ignore[arg-type]
    serving = asyncio.create_task(serve(app))
    await until_says(listen, "", SERVING)  # lives
    assert await says(listen, "tests") == NOT_SERVING
    begin.set()
    await until_says(listen, "tests", SERVING)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, 5)
    assert order == ["works", "gave back", "left", "drained", "closed"]


async def test_a_service_can_be_stopped_before_it_is_ready(listen: str) -> None:
    worked: list[int] = []

    async def work() -> None:
        worked.append(1)

    serving = asyncio.create_task(serve(an_app(listen, work, ready=asyncio.Event().wait)))  # type: ignore[arg-type]
    await until_says(listen, "", SERVING)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, 5)
    assert not worked


async def test_a_task_that_fails_ends_the_service_with_its_error(listen: str) -> None:
    ended: list[int] = []

    async def fail() -> None:
        raise LookupError("a fault of ours")

    async def work() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(1)

    with pytest.raises(LookupError):
        await asyncio.wait_for(serve(an_app(listen, work, fail)), 5)
    assert ended == [1]


async def test_a_service_that_cannot_become_ready_says_why(listen: str) -> None:
    async def refuse() -> None:
        raise LookupError("no schema")

    with pytest.raises(LookupError):
        await asyncio.wait_for(serve(an_app(listen, ready=refuse)), 5)
