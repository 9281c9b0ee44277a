"""A chat endpoint that answers `ok` after 50 ms, or as it is told: `python -m tests.bench.mock_endpoint [SECONDS [ANSWER [SPREAD]]]`
prints its port and serves until stdin ends.

A bare asyncio protocol, since it shares the machine with what is measured. GET /stats tells what it saw and its own CPU time.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field
from typing import cast

import uvloop

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@dataclass(frozen=True)
class Manner:
    """How it answers."""

    seconds: float = 0.05
    """What a call takes on the mean."""
    answer: str = "ok"
    spread: float = 0.0
    """Calls take evenly from 1 - spread to 1 + spread times that: without it, calls that begin together stay together for ever."""
    dice: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - the same times in every measurement

    @property
    def delay(self) -> float:
        """Seconds that the next call takes."""
        return self.seconds * self.dice.uniform(1 - self.spread, 1 + self.spread)

    @property
    def response(self) -> bytes:
        """The answer as HTTP."""
        choice = {"index": 0, "message": {"role": "assistant", "content": self.answer}, "finish_reason": "stop"}
        return _response(json.dumps({"id": "bench", "object": "chat.completion", "model": "bench", "choices": [choice]}).encode())


class Seen:
    """What came in so far."""

    def __init__(self) -> None:
        self.calls = self.now = self.most = 0

    def told(self) -> bytes:
        """As JSON."""
        return json.dumps({"calls": self.calls, "most_at_once": self.most, "cpu_seconds": time.process_time()}).encode()


class Endpoint(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, seen: Seen, loop: asyncio.AbstractEventLoop, manner: Manner) -> None:
        self._seen, self._loop, self._manner, self._rest = seen, loop, manner, b""
        self._chat = manner.response
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport to answer on."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        """Answers every request that is complete."""
        self._rest += data
        while (end := _end_of_request(self._rest)) is not None:
            request, self._rest = self._rest[:end], self._rest[end:]
            if request.startswith(b"GET"):
                self._write(_response(self._seen.told()))
            else:
                self._accept()

    def _accept(self) -> None:
        seen = self._seen
        seen.calls += 1
        seen.now += 1
        seen.most = max(seen.most, seen.now)
        self._loop.call_later(self._manner.delay, self._answer)

    def _answer(self) -> None:
        self._seen.now -= 1
        self._write(self._chat)

    def _write(self, content: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(content)


def _end_of_request(buffer: bytes) -> int | None:
    """Where the first request ends; None while it isn't complete."""
    head = buffer.find(HEAD_END)
    if head < 0:
        return None
    lower = buffer[:head].lower()
    at = lower.find(LENGTH)
    length = int(lower[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    end = head + len(HEAD_END) + length
    return end if len(buffer) >= end else None


async def _serve(manner: Manner) -> None:
    loop, seen = asyncio.get_running_loop(), Seen()
    server = await loop.create_server(lambda: Endpoint(seen, loop, manner), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # Whoever started it holds the other end of stdin: it can't outlive him.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    kinds = (float, str, float)
    uvloop.run(_serve(Manner(*(kind(value) for kind, value in zip(kinds, sys.argv[1:], strict=False)))))
