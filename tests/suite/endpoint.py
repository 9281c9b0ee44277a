"""An OpenAI-compatible chat endpoint on loopback that does what the question says, and remembers what it was sent."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Gate:
    """Calls that come to a gate wait until it is opened, or one of them is let through."""

    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _passes: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _opened: threading.Event = field(default_factory=threading.Event)

    def let_one_through(self) -> None:
        """Whichever came first, or comes next."""
        self._passes.release()

    def open(self) -> None:
        """Lets everything through that waits, and whatever comes later."""
        self._opened.set()

    def wait(self) -> None:
        """What a call does."""
        self.arrived.release()
        ends = time.monotonic() + 60
        while not self._opened.is_set() and not self._passes.acquire(timeout=0.02):
            if time.monotonic() > ends:
                return


class Endpoint(ThreadingHTTPServer):
    """What is asked decides what is answered.

    `messages`: how many messages came; `status 500`: that status; `throttle`: 429 once for each case, then an answer;
    `hard`: only the model `better` knows the answer; `garbage`: no chat completion; `nul`: a U+0000 and a lone surrogate; `gate NAME`: waits there; `sleep 1.5`:
    waits so many seconds; `call NAME {...}`, said by a user: a call of that tool; any other text comes back as it is.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._gates: dict[str, Gate] = {}
        self._throttled: set[str] = set()
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """What a connection's base_url is set to."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def gate(self, name: str) -> Gate:
        """The gate of that name."""
        with self._lock:
            return self._gates.setdefault(name, Gate())

    def asked(self, word: str) -> list[dict[str, Any]]:
        """The bodies of the calls whose last message holds `word`."""
        with self._lock:
            return [body for body in self.requests if word in body["messages"][-1]["content"]]

    def remember(self, body: dict[str, Any], headers: dict[str, str]) -> None:
        """Keeps a call for a test to look at."""
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)

    def throttles(self, key: str) -> bool:
        """Whether the case of this Idempotency-Key is told to come again: the first time only."""
        with self._lock:
            first = key not in self._throttled
            self._throttled.add(key)
            return first

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up on a cancel is no fault."""


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.remember({**body, "path": self.path}, headers)
        word, _, rest = str(body["messages"][-1]["content"]).partition(" ")
        if word == "status":
            self._send(int(rest), b'{"error": {"message": "as you wished"}}')
        elif word == "throttle" and self.server.throttles(headers.get("idempotency-key", "")):
            self._send(429, b"{}", {"retry-after": "0"})
        elif word == "garbage":
            self._send(200, b"<html>not what you think</html>")
        elif word == "call" and body["messages"][-1]["role"] == "user":
            self._send(200, _tool_call(*rest.split(" ", 1)))
        else:
            self._send(200, _completion(self._answer(word, rest, body)))

    def _answer(self, word: str, rest: str, body: dict[str, Any]) -> str:
        if word == "messages":
            return f"{len(body['messages'])} messages"
        if word == "hard" and body.get("model") != "better":
            return "I don't know"
        if word == "nul":
            return "a\0b\ud800c"
        if word == "gate":
            self.server.gate(rest).wait()
        if word == "sleep":
            time.sleep(float(rest))
        return str(body["messages"][-1]["content"])

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        with suppress(ConnectionError):
            self.send_response(status)
            for name, value in {"content-type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        """Says nothing."""


def _completion(text: str) -> bytes:
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}).encode()


def _tool_call(name: str, arguments: str) -> bytes:
    call = {"id": "call-1", "type": "function", "function": {"name": name, "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}).encode()


@contextmanager
def running_endpoint() -> Iterator[Endpoint]:
    """Runs one in a thread; what still waits at a gate is let through at the end."""
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        for gate in list(server._gates.values()):
            gate.open()
        server.shutdown()
        server.server_close()
        thread.join()
