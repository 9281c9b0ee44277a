"""What a client gets back: statuses, headers, streams, files."""

import time
from collections.abc import Generator

import pytest

from tests.gateway.backend import Backend, Log
from tests.gateway.conftest import ORIGIN
from tests.gateway.envoy import JSON, Gateway, exchange

SETS = "/v1/evaluation/test-sets"
RUNS = "/v1/evaluation/runs"


def test_a_service_says_201(gateway: Gateway) -> None:
    answer = gateway.send("POST", SETS, '{"name": "x"}')
    assert (answer.status, answer.json["name"]) == (201, "x")


@pytest.mark.parametrize(("verb", "path"), [("DELETE", f"{SETS}/a"), ("GET", f"{RUNS}/over/events")])
def test_a_204_has_no_body_and_leaves_the_connection_usable(gateway: Gateway, verb: str, path: str) -> None:
    connection = gateway.connect()
    for _ in range(2):
        answer = exchange(connection, verb, path)
        assert (answer.status, answer.body) == (204, b"")
        assert not {"content-length", "content-type", "transfer-encoding"} & set(answer.headers)
        used = connection.sock
        assert exchange(connection, "GET", f"{SETS}/b").json["id"] == "b"
        assert connection.sock is used
    connection.close()


def test_zeros_and_empty_lists_are_printed_and_absent_fields_are_not(gateway: Gateway) -> None:
    assert gateway.send("GET", SETS).json == {"items": [], "total": 0, "page": 0, "page_size": 0, "total_pages": 0}


def test_a_rich_error_keeps_its_details(gateway: Gateway) -> None:
    answer = gateway.send("GET", f"{SETS}/missing")
    assert answer.refusal == (404, 5, "test set not found")
    assert answer.json["details"][0]["reason"] == "ERROR_REASON_NOT_FOUND"


@pytest.mark.parametrize(
    ("test_set", "refusal"),
    [("busy", (429, 8, "too many requests")), ("conflict", (409, 10, "in use")), ("verbose", (400, 3, "x" * 3500))],
)
def test_an_abort_becomes_its_http_status(gateway: Gateway, test_set: str, refusal: tuple[int, int, str]) -> None:
    assert gateway.send("GET", f"{SETS}/{test_set}").refusal == refusal


def test_retry_after_reaches_the_client(gateway: Gateway) -> None:
    assert gateway.send("GET", f"{SETS}/busy").headers["retry-after"] == "7"


def test_an_abort_with_a_long_text_keeps_its_status(gateway: Gateway) -> None:
    assert {gateway.send("GET", f"{SETS}/too%20verbose").status for _ in range(20)} == {400}


@pytest.mark.parametrize("path", [f"{SETS}/a", f"{SETS}/missing", f"{RUNS}/a/export", f"{RUNS}/over/events", "/nope"])
def test_no_private_header_goes_out(gateway: Gateway, path: str) -> None:
    headers = gateway.send("GET", path).headers
    assert [name for name in headers if name.startswith(("x-", "grpc-")) or name == "server"] == []


def test_credentials_and_their_like_reach_the_service(gateway: Gateway, seen: Log) -> None:
    sent = {
        "authorization": "Bearer a",
        "cookie": "auth=1; b=2",
        "x-api-key": "k",
        "x-secret-key": "s",
        "origin": "http://other",
        "idempotency-key": "i",
        "last-event-id": "3",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    gateway.send("GET", f"{SETS}/a", headers=sent)
    assert {name: seen.last.metadata[name] for name in sent} == sent
    assert seen.last.metadata["x-envoy-original-path"] == f"{SETS}/a"


def test_private_headers_of_a_client_are_taken_off(gateway: Gateway, seen: Log) -> None:
    forged = dict.fromkeys(("x-http-code", "x-internal-service", "x-assay-workspace", "x-native-grpc", "x-local-reply"), "1")
    gateway.send("GET", f"{SETS}/a", headers=forged | {"x-envoy-upstream-rq-timeout-ms": "1", "grpc-timeout": "1n", "X-Http-Code": "418"})
    assert not set(forged) & set(seen.last.metadata)
    assert not {"x-envoy-upstream-rq-timeout-ms", "grpc-timeout"} & set(seen.last.metadata)
    assert gateway.send("GET", "/nope", headers=forged).refusal[0] == 404


def test_a_file_is_answered_as_it_is(gateway: Gateway) -> None:
    answer = gateway.send("GET", "/v1/evaluation/files/f")
    assert (answer.body, answer.headers["content-type"]) == (b"\x89PNG\x00\xff", "image/png")
    assert answer.headers["content-disposition"] == 'attachment; filename="a.png"'


def test_an_export_streams_through(gateway: Gateway) -> None:
    answer = gateway.send("GET", f"{RUNS}/a/export")
    assert (len(answer.body), answer.headers["content-type"]) == (1_900_000, "text/csv; charset=utf-8")


def _events(gateway: Gateway, run: str) -> Generator[tuple[float, bytes], None, None]:
    connection = gateway.connect()
    try:
        connection.request("GET", f"{RUNS}/{run}/events")
        response = connection.getresponse()
        assert response.headers["content-type"] == "text/event-stream"
        started = time.monotonic()
        while data := response.read1():
            yield time.monotonic() - started, data
    finally:
        connection.close()


def test_every_event_is_sent_at_once(gateway: Gateway) -> None:
    stream, seen, at = _events(gateway, "endless"), b"", 0.0
    while seen.count(b"id: ") < 3:
        at, data = next(stream)
        seen += data
    stream.close()
    assert at < 30  # the stream stays open for a minute: a gateway that collects events would send them then


def test_a_stream_that_fails_before_its_first_message_is_a_plain_error(gateway: Gateway) -> None:
    assert gateway.send("GET", f"{RUNS}/missing/events").refusal == (404, 5, "run not found")


def test_a_client_that_leaves_ends_the_service_s_stream(gateway: Gateway, backend: Backend) -> None:
    backend.log.cancelled.clear()
    next(_events(gateway, "endless"))
    assert backend.log.cancelled.wait(5)


def test_pages_of_an_allowed_origin_may_call(gateway: Gateway) -> None:
    asked = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    answer = gateway.send("OPTIONS", SETS, headers=asked)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "authorization" in answer.headers["access-control-allow-headers"]


def test_a_page_can_read_a_refusal_too(gateway: Gateway) -> None:
    refused = gateway.send("POST", SETS, '{"name": 5}', JSON | {"origin": ORIGIN})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (400, ORIGIN)


def test_pages_of_other_origins_get_no_cors_headers(gateway: Gateway) -> None:
    for verb, status in (("OPTIONS", 404), ("GET", 200)):
        answer = gateway.send(verb, SETS, headers={"origin": "http://evil", "access-control-request-method": "GET"})
        assert answer.status == status
        assert not [name for name in answer.headers if name.startswith("access-control")]
