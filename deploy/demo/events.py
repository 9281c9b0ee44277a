"""A run's event stream: read, taken up again where it broke, and turned into how far the run is."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from deploy.demo.gateway import DemoFailedError, Gateway

FINAL = frozenset({"run.completed", "run.error", "run.cancelled"})
RETRY_SECONDS = 1.0
# How often in a row a stream may end without news before the demo gives up; a restart of a service takes two or three.
MOST_FAILURES = 20


@dataclass(frozen=True)
class Event:
    """One event. `id` is empty where the stream gave none; `data` is the JSON object that it carries."""

    name: str
    data: dict[str, Any]
    id: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the run ended with it."""
        return self.name in FINAL


@dataclass
class Decoder:
    """Turns the bytes of a text/event-stream into events, wherever they are cut. See the HTML standard, 9.2.6."""

    last_id: str = ""
    """What to ask for as Last-Event-ID."""
    retry_seconds: float = RETRY_SECONDS
    _rest: bytes = b""
    _fields: dict[str, str] = field(default_factory=dict)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [event for line in lines if (event := self._line(line.removesuffix(b"\r").decode())) is not None]

    def reconnected(self) -> None:
        """Forgets an event that a broken connection left half."""
        self._rest, self._fields = b"", {}

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "retry" and value.isdecimal():
            self.retry_seconds = int(value) / 1000
        elif name == "data" and "data" in self._fields:
            self._fields["data"] += f"\n{value}"
        elif name:
            self._fields[name] = value
        return None

    def _dispatch(self) -> Event | None:
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        self.last_id = fields.get("id", self.last_id)
        return Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id", ""))


@dataclass(frozen=True)
class Progress:
    """How far a run is, as its events tell."""

    total: int
    passed: int = 0
    failed: int = 0
    errors: int = 0
    status: str = "pending"

    @property
    def done(self) -> int:
        """Cases that have a result."""
        return self.passed + self.failed + self.errors

    def after(self, event: Event) -> "Progress":
        """The progress once this event is known. A final event carries the run, whose counts are the last word."""
        if event.name == "case.scored":
            # run.progress only repeats what the scored cases before it told already.
            return replace(self.counting(event.data["status"]), status="running")
        if event.is_final:
            return of_run(event.data)
        return self

    def counting(self, status: str) -> "Progress":
        """With one result more."""
        if status == "passed":
            return replace(self, passed=self.passed + 1)
        return replace(self, failed=self.failed + 1) if status == "failed" else replace(self, errors=self.errors + 1)


def of_run(run: dict[str, Any]) -> Progress:
    """The progress of a run as the API shows it."""
    return Progress(run["total_cases"], run["passed_cases"], run["failed_cases"], run["error_cases"], run["status"])


async def follow(gateway: Gateway, path: str) -> AsyncIterator[Event]:
    """Every event of a run, once, up to its last one; a connection that breaks is taken up after the last event seen.

    Raises DemoFailedError when the stream is refused, or breaks again and again without news.
    """
    decoder, failures = Decoder(), 0
    while failures < MOST_FAILURES:
        failures += 1
        try:
            async for chunk in gateway.stream(path, decoder.last_id):
                for event in decoder.feed(chunk):
                    failures = 0
                    yield event
                    if event.is_final:
                        return
        except (aiohttp.ClientError, TimeoutError):
            pass
        decoder.reconnected()
        await asyncio.sleep(decoder.retry_seconds)
    raise DemoFailedError(f"The events of {path} stopped and could not be taken up again; `make logs` may tell why.")
