"""What is served without credentials: the OpenAPI document and the page that shows it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.openapi.__main__ import PAGE, text_of, write
from gateway.routed import read_descriptor
from tests.gateway.backend import Backend, Log
from tests.gateway.envoy import DESCRIPTOR, Gateway, running, settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("documents")
    write(DESCRIPTOR, written)
    return written


@pytest.fixture(scope="module")
def documented(backend: Backend, folder: Path) -> Iterator[Gateway]:
    with running(settings(backend.first, documents=str(folder)), folder) as envoy:
        yield envoy


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi.json/", "/openapi.json?a=b"])
def test_the_document_is_served_as_it_was_generated(documented: Gateway, seen: Log, path: str) -> None:
    answer = documented.send("GET", path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == text_of(read_descriptor(DESCRIPTOR)).encode()
    assert seen.calls == []


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs?a=b"])
def test_the_page_is_served_as_it_is(documented: Gateway, path: str) -> None:
    answer = documented.send("GET", path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.body == PAGE.read_bytes()
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_page_loads_nothing_from_anywhere_else() -> None:
    assert [word for word in ("http://", "https://", "//cdn", "@import", "src=") if word in PAGE.read_text()] == []


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/openapi.json"),
        ("DELETE", "/docs"),
        ("HEAD", "/docs"),
        ("GET", "/docs/other"),
        ("GET", "/openapi.json5"),
        ("GET", "/openapixjson"),
    ],
)
def test_nothing_else_is(documented: Gateway, verb: str, path: str) -> None:
    assert documented.send(verb, path).status == 404


def test_without_a_folder_they_are_not_served(gateway: Gateway) -> None:
    assert [gateway.send("GET", path).status for path in ("/openapi.json", "/docs")] == [404, 404]
