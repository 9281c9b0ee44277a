"""Services that are away, slow, or killed."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from assay.catalog.v1 import test_sets_pb2, test_sets_pb2_grpc
from deploy.local import ports
from tests.gateway.backend import Backend
from tests.gateway.envoy import Gateway, loopback, running, settings

SETS = "/v1/evaluation/test-sets"
RUNS = "/v1/evaluation/runs"


@pytest.fixture(scope="module")
def runners(backend: Backend) -> tuple[int, int]:
    """Ports of two servers behind one cluster."""
    return backend.start(), backend.start()


@pytest.fixture(scope="module")
def hasty(backend: Backend, runners: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose calls may take three seconds, with two runners, and with reporting down."""
    alive = dict.fromkeys(("catalog", "scoring"), loopback(backend.first))
    backends = alive | {"runner": loopback(*runners), "reporting": loopback(ports.any_free())}
    folder = tmp_path_factory.mktemp("hasty")
    with running(settings(backend.first, backends=backends, timeout_seconds=3), folder) as gateway:
        yield gateway


def test_a_service_that_is_down_is_503(hasty: Gateway) -> None:
    answer = hasty.send("GET", f"{RUNS}/a")
    assert answer.refusal == (503, 14, "the service can't be reached right now")
    assert answer.headers["retry-after"] == "1"


def test_a_stream_of_a_service_that_is_down_is_503(hasty: Gateway) -> None:
    assert hasty.send("GET", f"{RUNS}/a/events").refusal[:2] == (503, 14)


def test_a_service_that_stops_as_a_call_arrives_is_503(hasty: Gateway) -> None:
    answer = hasty.send("GET", f"{SETS}/stopping")
    assert answer.refusal == (503, 14, "the service can't be reached right now")
    assert answer.headers["retry-after"] == "1"


def test_a_service_that_takes_too_long_is_504(hasty: Gateway) -> None:
    started = time.monotonic()
    assert hasty.send("GET", f"{SETS}/slow").refusal[:2] == (504, 4)
    assert 2.9 < time.monotonic() - started < 20


def test_a_service_knows_its_deadline(hasty: Gateway, backend: Backend) -> None:
    hasty.send("GET", f"{SETS}/a")
    remaining = backend.log.last.seconds
    assert remaining is not None
    assert 0 < remaining <= 3


def test_a_grpc_client_is_told_in_plain_text(hasty: Gateway) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{hasty.port}") as channel, pytest.raises(grpc.RpcError) as raised:
        test_sets_pb2_grpc.TestSetServiceStub(channel).GetTestSet(test_sets_pb2.GetTestSetRequest(test_set_id="slow"))
    assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "{" not in (raised.value.details() or "")


def test_no_cors_headers_without_allowed_origins(hasty: Gateway) -> None:
    answer = hasty.send("OPTIONS", SETS, headers={"origin": "http://localhost:3000", "access-control-request-method": "GET"})
    assert answer.status == 404
    assert not [name for name in answer.headers if name.startswith("access-control")]


def _start_runs(gateway: Gateway, count: int) -> Counter[str]:
    answers = [gateway.send("POST", RUNS, "{}") for _ in range(count)]
    return Counter(str(answer.json.get("id", answer.status)) for answer in answers)


def test_calls_are_spread_over_runners_and_go_on_when_one_is_killed(hasty: Gateway, backend: Backend, runners: tuple[int, int]) -> None:
    first, second = map(str, runners)
    assert set(_start_runs(hasty, 40)) == {first, second}
    backend.stop(runners[0])
    assert _start_runs(hasty, 100) == {second: 100}
    backend.start(runners[0])
    give_up = time.monotonic() + 8
    while time.monotonic() < give_up and first not in _start_runs(hasty, 4):
        time.sleep(0.2)
    assert set(_start_runs(hasty, 40)) == {first, second}


def test_a_lone_service_is_asked_again_as_soon_as_it_is_back(hasty: Gateway, backend: Backend, runners: tuple[int, int]) -> None:
    for port in runners:
        backend.stop(port)
    assert set(_start_runs(hasty, 10)) == {"503"}
    backend.start(runners[1])
    give_up = time.monotonic() + 10
    # The other one is still away: until a health check has found that out, a call may meet it.
    while "503" in (answered := _start_runs(hasty, 20)) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert answered == {str(runners[1]): 20}


def test_the_log_of_envoy_is_free_of_errors(hasty: Gateway) -> None:
    assert "[error]" not in Path(hasty.log).read_text()
