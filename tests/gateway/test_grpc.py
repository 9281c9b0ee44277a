"""gRPC clients use the same port."""

from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from assay.catalog.internal.v1 import catalog_pb2, catalog_pb2_grpc
from assay.catalog.v1 import test_sets_pb2, test_sets_pb2_grpc
from assay.reporting.v1 import reports_pb2, reports_pb2_grpc
from tests.gateway.backend import Log
from tests.gateway.envoy import Gateway


@pytest.fixture
def channel(gateway: Gateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as open_channel:
        yield open_channel


def test_a_created_resource_is_a_plain_success(channel: grpc.Channel) -> None:
    created, call = test_sets_pb2_grpc.TestSetServiceStub(channel).CreateTestSet.with_call(test_sets_pb2.CreateTestSetRequest(name="x"))
    assert created.name == "x"
    assert not [name for name, _ in call.initial_metadata() if name.startswith("x-")]


def test_a_status_keeps_its_code_and_details(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        test_sets_pb2_grpc.TestSetServiceStub(channel).GetTestSet(test_sets_pb2.GetTestSetRequest(test_set_id="missing"))
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.NOT_FOUND, "test set not found")
    trailers = {item.key: item.value for item in raised.value.trailing_metadata() or ()}
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(bytes(trailers["grpc-status-details-bin"])).details[0].Unpack(info)
    assert info.reason == "ERROR_REASON_NOT_FOUND"


def test_a_stream_streams(channel: grpc.Channel) -> None:
    events = reports_pb2_grpc.ReportServiceStub(channel).StreamRunEvents(reports_pb2.StreamRunEventsRequest(run_id="a"))
    assert [event.content_type for event in events] == ["text/event-stream"] * 3


def test_internal_packages_cannot_be_reached(channel: grpc.Channel, seen: Log) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        catalog_pb2_grpc.CatalogInternalServiceStub(channel).Authenticate(catalog_pb2.AuthenticateRequest(token="t"))
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert seen.calls == []


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc-web", "application/json", ""])
def test_internal_packages_cannot_be_reached_under_another_content_type(gateway: Gateway, seen: Log, content_type: str) -> None:
    path = "/assay.catalog.internal.v1.CatalogInternalService/Authenticate"
    answer = gateway.send("POST", path, b"\0\0\0\0\0", {"content-type": content_type, "te": "trailers"})
    assert (answer.status, answer.headers.get("grpc-status")) in {(404, None), (200, "12")}
    assert seen.calls == []


def test_health_cannot_be_reached(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_private_metadata_of_a_client_is_taken_off(channel: grpc.Channel, seen: Log) -> None:
    forged = (("x-internal-service", "1"), ("x-assay-workspace", "w"), ("x-envoy-original-path", "/"), ("authorization", "Bearer a"))
    test_sets_pb2_grpc.TestSetServiceStub(channel).ListTestSets(test_sets_pb2.ListTestSetsRequest(), metadata=forged)
    assert [name for name in seen.last.metadata if name in dict(forged)] == ["authorization"]


def test_a_client_s_own_deadline_reaches_the_service(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        test_sets_pb2_grpc.TestSetServiceStub(channel).GetTestSet(test_sets_pb2.GetTestSetRequest(test_set_id="slow"), timeout=0.3)
    assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
