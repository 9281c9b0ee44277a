"""A client of the gateway that knows HTTP and nothing of ours: it sends what a test says, byte for byte."""

import http.client
import json
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote

TIMEOUT = 30.0
Headers = Mapping[str, str]
# What a query is made of; a sequence of pairs where a name is repeated.
Query = Mapping[str, object] | Sequence[tuple[str, object]]


@dataclass(frozen=True)
class Answer:
    """What came back. Names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        """The body, read strictly: duplicate keys and numbers that JSON doesn't know are faults."""
        assert self.headers.get("content-type", "").split(";")[0] == "application/json", (self.status, self.headers, self.body[:500])
        return json.loads(self.body, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:500]!r}>"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), f"keys appear twice: {[name for name, _ in pairs]}"
    return found


def _refuse_constant(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


@dataclass(frozen=True)
class File:
    """A part of a multipart body."""

    content: bytes
    name: str = "cases.csv"
    content_type: str = "text/csv"
    field: str = "file"


def multipart(files: Sequence[File]) -> tuple[bytes, str]:
    """A body with these parts, and its content type."""
    boundary = secrets.token_hex(12)
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{file.field}"; filename="{file.name}"\r\n'
        f"content-type: {file.content_type}\r\n\r\n".encode()
        + file.content
        + b"\r\n"
        for file in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def query(parameters: Query) -> str:
    """`?name=value&…`; a value of None is left out."""
    pairs = list(parameters.items()) if isinstance(parameters, Mapping) else list(parameters)
    given = [f"{quote(name, safe='[]')}={quote(str(value), safe='')}" for name, value in pairs if value is not None]
    return "?" + "&".join(given) if given else ""


@dataclass(frozen=True)
class Client:
    """Speaks with a gateway, always with the same headers. `address` is host:port."""

    address: str
    headers: Headers = field(default_factory=dict)

    def having(self, headers: Headers) -> "Client":
        """The same client with these headers alone."""
        return replace(self, headers=dict(headers))

    def adding(self, headers: Headers) -> "Client":
        """The same client with these headers too."""
        return replace(self, headers={**self.headers, **headers})

    def send(self, method: str, path: str, body: bytes | None = None, headers: Headers | None = None) -> Answer:
        """One request on a connection of its own."""
        with self.connected() as connection:
            return exchange(connection, method, path, body, {**self.headers, **(headers or {})})

    @contextmanager
    def connected(self) -> Iterator[http.client.HTTPConnection]:
        """A connection that is kept alive for as long as the block lasts."""
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT)
        try:
            yield connection
        finally:
            connection.close()

    def get(self, path: str, parameters: Query | None = None, **headers: str) -> Answer:
        """GET; `_` in a header's name stands for `-`."""
        return self.send("GET", path + query(parameters or {}), headers=_spelled(headers))

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        """POST of JSON."""
        return self._with_json("POST", path, body, headers)

    def put(self, path: str, body: object, **headers: str) -> Answer:
        """PUT of JSON."""
        return self._with_json("PUT", path, body, headers)

    def patch(self, path: str, body: object, **headers: str) -> Answer:
        """PATCH of JSON."""
        return self._with_json("PATCH", path, body, headers)

    def delete(self, path: str, **headers: str) -> Answer:
        """DELETE."""
        return self.send("DELETE", path, headers=_spelled(headers))

    def upload(self, path: str, *files: File, **headers: str) -> Answer:
        """POST of a multipart body."""
        body, content_type = multipart(files)
        return self.send("POST", path, body, {"content-type": content_type, **_spelled(headers)})

    def _with_json(self, method: str, path: str, body: object, headers: Headers) -> Answer:
        text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.send(method, path, text, {"content-type": "application/json", **_spelled(headers)})


def exchange(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: Headers) -> Answer:
    """One request and its answer on an open connection."""
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    content = response.read()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


def _spelled(headers: Headers) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True)
class Event:
    """A block of an event stream; `id`, `event` and `data` are None where the block doesn't say."""

    id: int | None = None
    event: str | None = None
    data: Any = None
    retry: int | None = None
    comment: str | None = None


@dataclass
class Stream:
    """An event stream that is being read."""

    status: int
    headers: Mapping[str, str]
    _response: http.client.HTTPResponse

    def blocks(self) -> Iterator[Event]:
        """Every block as it comes, comments and `retry:` too, until the server ends the stream."""
        lines: list[str] = []
        while raw := self._response.readline():
            line = raw.decode().rstrip("\r\n")
            if line:
                lines.append(line)
            elif lines:
                yield event_of(lines)
                lines = []
        assert not lines, f"the stream ended in the middle of an event: {lines}"

    def events(self) -> Iterator[Event]:
        """The blocks that a browser would hand on."""
        return (block for block in self.blocks() if block.event is not None)


def event_of(lines: Sequence[str]) -> Event:
    """The block that these lines are."""
    found: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(":")
        found[name or "comment"] = value.removeprefix(" ")
    assert set(found) <= {"id", "event", "data", "retry", "comment"}, lines
    for name in {"id", "retry"} & set(found):
        found[name] = int(found[name])
    if "data" in found:
        found["data"] = json.loads(found["data"])
    return Event(**found)


@contextmanager
def stream(client: Client, path: str, last_event_id: object = None, timeout: float = TIMEOUT) -> Iterator[Stream]:
    """Opens an event stream. A silence longer than `timeout` raises TimeoutError."""
    headers = {**client.headers, "accept": "text/event-stream"}
    if last_event_id is not None:
        headers["last-event-id"] = str(last_event_id)
    connection = http.client.HTTPConnection(client.address, timeout=timeout)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        with response:
            yield Stream(response.status, {name.lower(): value for name, value in response.getheaders()}, response)
    finally:
        connection.close()


def is_number(value: object) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
