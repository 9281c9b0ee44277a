"""A run against a connection of kind `http`: a JSON endpoint of one's own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.suite.builders import Builders


class JsonEndpoint(ThreadingHTTPServer):
    """Answers in upper case, and remembers what it was sent; `odd` is answered by what is no answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        """What a connection's base_url is set to: called as it stands."""
        return f"http://127.0.0.1:{self.server_address[1]}/answer?mode=short"


class _Handler(BaseHTTPRequestHandler):
    server: JsonEndpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        content = json.dumps({"said": 1} if body["question"] == "odd" else {"output": body["question"].upper()}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        """Says nothing."""


@pytest.fixture
def target() -> Iterator[JsonEndpoint]:
    with JsonEndpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_its_output_is_the_answer_and_what_is_none_is_an_error(build: Builders, target: JsonEndpoint) -> None:
    connection = build.connection(kind="http", base_url=target.url, model="small", api_key="sk-http")
    context = build.context(connection, statement="Be loud.", parameters={"temperature": 0.5})
    run = build.finished(build.a_set_of(("hello", "HELLO"), ("odd", "ODD"), context=context))
    assert (run["passed_cases"], run["failed_cases"], run["error_cases"]) == (1, 0, 1)
    results = {result["question"]: result for result in build.results(run)}
    assert results["hello"]["actual_response"] == "HELLO"
    assert "not an answer" in results["odd"]["error"]
    [(path, headers, body)] = [asked for asked in target.asked if asked[2]["question"] == "hello"]
    assert (path, headers["authorization"]) == ("/answer?mode=short", "Bearer sk-http")
    assert run["id"] in headers["idempotency-key"]
    assert (body["statement"], body["model"], body["parameters"], body["history"]) == ("Be loud.", "small", {"temperature": 0.5}, [])


def test_a_scenario_sends_the_turns_so_far(build: Builders, target: JsonEndpoint) -> None:
    connection = build.connection(kind="http", base_url=target.url)
    test_set = build.test_set(build.context(connection), mode="scenario")
    build.cases(test_set, ("one", "ONE"), ("two", "TWO"))
    assert build.finished(test_set)["passed_cases"] == 2
    assert [body["history"] for _, _, body in target.asked] == [[], [{"question": "one", "answer": "ONE"}]]
