"""Sizes, malformed HTTP, and what a client may do slowly."""

import socket
from collections.abc import Iterator

import pytest

from tests.gateway.backend import Log
from tests.gateway.envoy import JSON, Answer, Gateway

SETS = "/v1/evaluation/test-sets"
FILES = "/v1/evaluation/files"
MEGABYTE = 1024 * 1024
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
TOO_LARGE = (413, 3, "the body is larger than 10 MB")


def a_form(size: int) -> bytes:
    head = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return head + b"x" * size + b"\r\n--b--\r\n"


def _chunks(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 65536):
        yield body[at : at + 65536]


def _post(gateway: Gateway, path: str, body: bytes, *, chunked: bool) -> Answer:
    return gateway.send("POST", path, _chunks(body) if chunked else body, MULTIPART if path == FILES else JSON)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_of_10_mb_arrives_with_its_boundary(gateway: Gateway, seen: Log, *, chunked: bool) -> None:
    form = a_form(10 * MEGABYTE)
    assert _post(gateway, FILES, form, chunked=chunked).json["file_mime_type"] == MULTIPART["content-type"]
    assert seen.last.request.file.data == form


@pytest.mark.parametrize("chunked", [False, True])
def test_a_json_body_of_10_mb_arrives(gateway: Gateway, seen: Log, *, chunked: bool) -> None:
    body = b'{"name": "%s"}' % (b"x" * 10 * MEGABYTE)
    assert _post(gateway, SETS, body, chunked=chunked).status == 201
    assert len(seen.last.request.name) == 10 * MEGABYTE


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "size"), [(FILES, 11), (FILES, 20), (SETS, 11), (SETS, 20)])
def test_more_is_413_which_the_client_can_read(gateway: Gateway, seen: Log, path: str, size: int, *, chunked: bool) -> None:
    assert _post(gateway, path, b" " * (size * MEGABYTE), chunked=chunked).refusal == TOO_LARGE
    assert seen.calls == []


def test_the_service_s_own_413_passes(gateway: Gateway) -> None:
    assert _post(gateway, FILES, a_form(10 * MEGABYTE + 2000), chunked=False).refusal == (413, 3, "the file is larger than 10 MB")


def test_a_client_that_expects_100_may_send(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=2) as raw:
        raw.sendall(f"POST {SETS} HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\nexpect: 100-continue\r\n\r\n".encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        raw.sendall(b'{"name":"x"}')
        assert raw.recv(1000).startswith(b"HTTP/1.1 201 ")


def test_http_1_0_is_answered(gateway: Gateway) -> None:
    answer = gateway.send_raw(f"GET {SETS}/a HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 200 OK")
    assert answer.endswith(b"}")


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        (f"GET {SETS}/{'a' * 40_000} HTTP/1.1", "", 431),
        (f"GET {SETS}/a HTTP/1.1", f"large: {'a' * 40_000}\r\n", 431),
        (f"GET {SETS}/a HTTP/1.1", "many: a\r\n" * 120, 431),
        (f"GET {SETS}/a#b HTTP/1.1", "", 400),
        ("GET * HTTP/1.1", "", 400),
        ("WHATEVER / HTTP/1.1", "", 400),
        ("CONNECT a:1 HTTP/1.1", "", 404),
        ("nonsense", "", 400),
        (f"GET {SETS}/\xc3\xbc HTTP/1.1", "", 400),
        (f"POST {SETS} HTTP/1.1", "content-length: x\r\n", 400),
        (f"POST {SETS} HTTP/1.1", "content-length: 4\r\ntransfer-encoding: chunked\r\n", 400),
        (f"GET {SETS}/a HTTP/1.1", "connection: upgrade\r\nupgrade: websocket\r\n", 403),
        (f"GET {SETS}/a HTTP/1.1", "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n", 200),
    ],
)
def test_odd_http_is_refused_in_the_contract_s_shape(gateway: Gateway, request_line: str, headers: str, status: int) -> None:
    answer = gateway.send_raw(f"{request_line}\r\nhost: a\r\n{headers}\r\n".encode("latin-1"))
    assert int(answer.split(b" ", 2)[1]) == status
    assert status == 200 or (b'"message":"' in answer and b'"message":""' not in answer)
    assert b"x-local-reply" not in answer
