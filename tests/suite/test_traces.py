"""A run of the whole stack is one trace: from the REST call that started it to its last score and its closing."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collected, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from deploy.local.settings import DEFAULTS, Settings
from deploy.local.stack import Stack
from tests.suite.builders import RUNS, Builders, made
from tests.suite.client import Client
from tests.suite.endpoint import Endpoint

SERVICES = {"catalog", "runner", "scoring", "reporting"}


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it is sent, each span with the service that made it."""

    spans: list[tuple[str, Span]] = field(default_factory=list)

    def Export(self, request: collected.ExportTraceServiceRequest, context: object) -> collected.ExportTraceServiceResponse:  # noqa: ARG002 gRPC's signature
        for resource in request.resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.spans += [(named["service.name"], span) for scope in resource.scope_spans for span in scope.spans]
        return collected.ExportTraceServiceResponse()

    def of(self, trace_id: str) -> list[tuple[str, Span]]:
        """The spans of one trace."""
        return [(service, span) for service, span in self.spans if span.trace_id.hex() == trace_id]


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[Collector, str]]:
    """A collector and its address."""
    made_ = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(made_, server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield made_, f"http://127.0.0.1:{port}"
    server.stop(1).wait()


@pytest.fixture(scope="module")
def traced(collector: tuple[Collector, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a stack whose services export their spans."""
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector[1], "OTEL_BSP_SCHEDULE_DELAY": "200"}
    stack = Stack(tmp_path_factory.mktemp("traces"), Settings(passed={**DEFAULTS, **told}))
    try:
        stack.up()
        env = stack.env()
        yield Client(env["ASSAY_GRPC"]).having({"authorization": f"Bearer {env['ASSAY_TOKEN']}"})
    finally:
        stack.down()


def until(holds: Callable[[], bool], within: float = 15.0) -> None:
    ends = time.monotonic() + within
    while not holds() and time.monotonic() < ends:
        time.sleep(0.1)
    assert holds()


def test_a_run_is_one_trace_from_its_start_to_its_last_score(traced: Client, collector: tuple[Collector, str], endpoint: Endpoint) -> None:
    build, trace_id = Builders(traced), secrets.token_hex(16)
    test_set = build.a_set_of(
        *((f"traced {n}", f"traced {n}") for n in range(30)), context=build.context(build.endpoint(endpoint.base_url))
    )
    caller = traced.having({**traced.headers, "traceparent": f"00-{trace_id}-{'1' * 16}-01"})
    run = made(caller.post(RUNS, {"test_set_id": test_set["id"], "context_id": test_set["context_id"]}))
    assert build.ended(run)["status"] == "completed"
    found = collector[0]

    def names() -> set[tuple[str, str]]:
        return {(service, span.name) for service, span in found.of(trace_id)}

    def calls() -> int:
        return sum(span.name == "call target" for _, span in found.of(trace_id))

    def first() -> list[str]:
        """Every span but the first follows from another one that is there; each process exports its own when it comes to it."""
        spans = [span for _, span in found.of(trace_id)]
        known = {span.span_id for span in spans}
        return [span.name for span in spans if span.parent_span_id not in known]

    wanted = {
        ("runner", "assay.runner.v1.RunService/StartRun"),
        ("catalog", "assay.catalog.internal.v1.CatalogInternalService/ResolveTarget"),
        ("catalog", "assay.catalog.internal.v1.CatalogInternalService/StreamCases"),
        ("reporting", "process runner.run_started"),
        ("runner", "process runner.tickets"),
        ("runner", "call target"),
        ("scoring", "process runner.cases_executed"),
        ("runner", "process scoring.cases_scored"),
        ("reporting", "process scoring.cases_scored"),
        ("reporting", "process runner.run_finished"),
        ("catalog", "process runner.run_finished"),
    }
    until(lambda: wanted <= names() and calls() == 30 and first() == ["assay.runner.v1.RunService/StartRun"])
    headers = [each["traceparent"] for each, body in zip(endpoint.headers, endpoint.requests, strict=True) if "traced" in str(body)]
    assert {header.split("-")[1] for header in headers} == {trace_id}


def test_what_runs_by_itself_makes_no_trace(traced: Client, collector: tuple[Collector, str]) -> None:
    made(traced.get("/v1/connections"), 200)
    time.sleep(5.0)  # twice as long as neighbours wait before they look for missed events
    assert [span.name for _, span in collector[0].spans if "OutboxService" in span.name] == []
    assert {service for service, _ in collector[0].spans} <= SERVICES
