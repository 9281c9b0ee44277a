"""Readers of one path: `python -m tests.bench.load PORT PATH READERS SECONDS` prints JSON; the token comes from ASSAY_TOKEN.

A process of its own and a bare asyncio protocol: an HTTP library would take more CPU than the gateway that it asks.
"""

import asyncio
import json
import os
import sys
import time
from typing import cast

import uvloop

WARM_UP_SECONDS = 0.5
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
CHUNKED = b"transfer-encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n"


class Counted:
    """Seconds that each answer took, once warmed up, and how many were no 200."""

    def __init__(self, counts_from: float) -> None:
        self.counts_from = counts_from
        self.seconds: list[float] = []
        self.answered = self.refused = 0


class Reader(asyncio.Protocol):
    """Asks the same again as soon as it is answered."""

    def __init__(self, request: bytes, counted: Counted) -> None:
        self._request, self._counted, self._answer = request, counted, b""
        self._transport: asyncio.Transport | None = None
        self._asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the first time."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Counts an answer once it is complete."""
        self._answer += data
        if not is_complete(self._answer):
            return
        self._counted.answered += 1
        if self._asked_at >= self._counted.counts_from:
            self._counted.seconds.append(time.perf_counter() - self._asked_at)
            self._counted.refused += not self._answer.startswith(b"HTTP/1.1 200")
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Counts an answer that never came; this reader is gone."""
        del exc
        self._counted.refused += not (self._transport and self._transport.is_closing())

    def _ask(self) -> None:
        self._answer, self._asked_at = b"", time.perf_counter()
        if self._transport:
            self._transport.write(self._request)


def is_complete(answer: bytes) -> bool:
    """Whether a whole response is here; the gateway sends header names in lower case."""
    end = answer.find(HEAD_END)
    if end < 0:
        return False
    head = answer[:end]
    if CHUNKED in head:
        return answer.endswith(LAST_CHUNK)
    at = head.find(LENGTH)
    length = int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return len(answer) >= end + len(HEAD_END) + length


async def _read(port: int, path: str, readers: int, seconds: float) -> dict[str, object]:
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {os.environ['ASSAY_TOKEN']}\r\n\r\n".encode()
    counted = Counted(time.perf_counter() + WARM_UP_SECONDS)
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(lambda: Reader(request, counted), "127.0.0.1", port) for _ in range(readers)]
    await asyncio.sleep(WARM_UP_SECONDS)
    cpu = time.process_time()
    await asyncio.sleep(seconds)
    answers = {"seconds": sorted(counted.seconds), "answered": counted.answered, "refused": counted.refused}
    cpu = time.process_time() - cpu
    for transport, _ in pairs:
        transport.close()
    return {**answers, "cpu_seconds": cpu}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(_read(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))))
