"""A target for runs: an OpenAI-compatible chat endpoint on loopback that answers after a while, each time differently."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar


class ChatServer(ThreadingHTTPServer):
    """Answers `answer <n> to: <question>`, n counting all calls, `latency` seconds after it was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, latency: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.latency = latency
        self.calls: Counter[str] = Counter()
        self.in_flight = 0
        self.most_in_flight = 0
        self.began: list[float] = []
        """When each call came, in seconds of a clock that never goes back."""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """What a connection's base_url is set to."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def answer(self, question: str, key: str) -> str:
        """Waits, and counts the call under its Idempotency-Key."""
        with self._lock:
            self.calls[key] += 1
            self.began.append(time.monotonic())
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            time.sleep(self.latency)
        finally:
            with self._lock:
                self.in_flight -= 1
        return f"answer {next(self._numbers)} to: {question}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that was killed in mid-call is what these tests are about."""


Server = TypeVar("Server", bound=ChatServer)


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = self.server.answer(body["messages"][-1]["content"], self.headers.get("idempotency-key", ""))
        answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        """Says nothing."""


@contextmanager
def chat_server(latency: float = 0.0) -> Iterator[ChatServer]:
    """Runs one in a thread."""
    with serving(ChatServer(latency)) as server:
        yield server


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Runs this one in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
