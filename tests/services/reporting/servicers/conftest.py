"""Reporting's gRPC services behind the real boundary, as the gateway reaches them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import jwt
import pytest

from assay.reporting.internal.v1 import reporting_pb2_grpc
from assay.reporting.v1 import reports_pb2_grpc
from services.reporting.feed import Feed
from services.reporting.operations.following import Following
from services.reporting.servicers.internal import ReportingInternalServicer
from services.reporting.servicers.reports import ReportServicer
from shared.channels import ServiceIdentity, open_channel
from shared.identity import Identifier, Issuer
from shared.interceptors import Boundary
from shared.jetstream import Broker
from tests.services.reporting.conftest import Bench
from tests.services.reporting.peers import SERVICE_KEY, nobody, serving

USER_KEY = "a key that signs users' tokens, for tests"


def as_user(workspace: UUID, *more: tuple[str, str], scopes: tuple[str, ...] = ("studio",)) -> tuple[tuple[str, str], ...]:
    """Call metadata of a user of this workspace."""
    claims = {"iss": "assay", "exp": int(time.time()) + 60, "workspace_id": str(workspace), "scopes": list(scopes)}
    return (("authorization", f"Bearer {jwt.encode(claims, USER_KEY, algorithm='HS256')}"), *more)


def as_service(workspace: UUID) -> tuple[tuple[str, str], ...]:
    """Call metadata of a service that acts for this workspace."""
    return ServiceIdentity("runner", SERVICE_KEY).metadata(workspace)


@dataclass
class Service:
    """Stubs of the services under test, and the feed that wakes their streams."""

    reports: Any
    internal: Any
    feed: Feed


@pytest.fixture
async def service(bench: Bench) -> AsyncIterator[Service]:
    feed = Feed(bench.database, Broker("nats://127.0.0.1:1", "test"))
    reports = ReportServicer(bench.database, bench.reading, Following(bench.database, feed))
    boundary = Boundary(Identifier([Issuer("assay", ("HS256",), USER_KEY)], SERVICE_KEY, nobody))
    poll = asyncio.create_task(feed.poll())
    async with serving(
        lambda server: reports_pb2_grpc.add_ReportServiceServicer_to_server(reports, server),
        lambda server: reporting_pb2_grpc.add_ReportingInternalServiceServicer_to_server(
            ReportingInternalServicer(bench.forgetting), server
        ),
        boundary=boundary,
    ) as address:
        channel = open_channel(address)
        yield Service(reports_pb2_grpc.ReportServiceStub(channel), reporting_pb2_grpc.ReportingInternalServiceStub(channel), feed)
        await channel.close()
    poll.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await poll


@contextlib.contextmanager
def refused(code: grpc.StatusCode, message: str = "") -> Any:
    """The block's call is refused so."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert caught.value.code() == code, caught.value
    assert message in str(caught.value.details())
