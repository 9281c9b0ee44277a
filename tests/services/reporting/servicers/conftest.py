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
from assay.reporting.v1 import assistant_test_runs_pb2_grpc, project_test_runs_pb2_grpc, reports_pb2_grpc, simulations_pb2_grpc
from services.reporting.feed import Feed
from services.reporting.operations.assistant_tests import AssistantTestReading
from services.reporting.operations.following import Following
from services.reporting.operations.generating import Generating
from services.reporting.operations.project_test_runs import ProjectTestRunReading
from services.reporting.operations.simulations import SimulationReading
from services.reporting.servicers.assistant_test_runs import AssistantTestReportServicer
from services.reporting.servicers.internal import ReportingInternalServicer
from services.reporting.servicers.project_test_runs import ProjectTestRunReportServicer
from services.reporting.servicers.reports import ReportServicer
from services.reporting.servicers.simulations import SimulationReportServicer
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
    tests: Any
    project_runs: Any
    simulations: Any


@pytest.fixture
async def service(bench: Bench) -> AsyncIterator[Service]:
    feed = Feed(bench.database, Broker("nats://127.0.0.1:1", "test"))
    reports = ReportServicer(bench.database, bench.reading, Following(bench.database, feed))
    tests = AssistantTestReportServicer(AssistantTestReading(bench.learning, bench.peers.ask_catalog))
    project_runs = ProjectTestRunReportServicer(ProjectTestRunReading(bench.learning, bench.peers.ask_catalog))
    simulations = SimulationReading(bench.learning, bench.peers.ask_catalog)
    executions = SimulationReportServicer(simulations, "https://assay.example")
    boundary = Boundary(Identifier([Issuer("assay", ("HS256",), USER_KEY)], SERVICE_KEY, nobody))
    poll = asyncio.create_task(feed.poll())
    async with serving(
        lambda server: reports_pb2_grpc.add_ReportServiceServicer_to_server(reports, server),
        lambda server: reporting_pb2_grpc.add_ReportingInternalServiceServicer_to_server(
            ReportingInternalServicer(
                bench.forgetting,
                simulations,
                Generating(bench.database, bench.learning),
                ProjectTestRunReading(bench.learning, bench.peers.ask_catalog),
            ),
            server,
        ),
        lambda server: assistant_test_runs_pb2_grpc.add_AssistantTestReportServiceServicer_to_server(tests, server),
        lambda server: project_test_runs_pb2_grpc.add_ProjectTestRunReportServiceServicer_to_server(project_runs, server),
        lambda server: simulations_pb2_grpc.add_SimulationReportServiceServicer_to_server(executions, server),
        boundary=boundary,
    ) as address:
        channel = open_channel(address)
        yield Service(
            reports_pb2_grpc.ReportServiceStub(channel),
            reporting_pb2_grpc.ReportingInternalServiceStub(channel),
            feed,
            assistant_test_runs_pb2_grpc.AssistantTestReportServiceStub(channel),
            project_test_runs_pb2_grpc.ProjectTestRunReportServiceStub(channel),
            simulations_pb2_grpc.SimulationReportServiceStub(channel),
        )
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
