"""Records every case of a project's test run: `python -m tests.bench.recorder PORT PATH CONNECTIONS`; run and case ids come on stdin.

Prints JSON: seconds that half of the recordings and 99 % took at most, and all together. A process of its own and a bare asyncio
protocol, for the reasons of `load`.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import uvloop

from tests.bench.figures import quantile
from tests.bench.load import is_complete

Json = dict[str, Any]


def recording(run_id: str, case: Json) -> bytes:
    """What a client says of a case that it answered as it should."""
    messages = [{"role": "user", "content": case["question"]}, {"role": "assistant", "content": case["answer"]}]
    info = {"test_run_id": run_id, "test_case_id": case["id"]}
    call = {"start_time": 1.0, "end_time": 1.25, "usage": {"prompt_tokens": 20, "completion_tokens": 10}}
    return json.dumps({"messages": messages, "inputs": case["inputs"], "test_run_info": info, "call_info": call}).encode()


class Recorder(asyncio.Protocol):
    """Records one case after the other, until none is left."""

    def __init__(self, bodies: Iterator[bytes], head: str, seconds: list[float]) -> None:
        self._bodies, self._head, self._seconds = bodies, head, seconds
        self._answer, self._asked_at = b"", 0.0
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Records the first."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._next()

    def data_received(self, data: bytes) -> None:
        """Goes on once an answer is complete; anything but a 201 ends the bench."""
        self._answer += data
        if not is_complete(self._answer):
            return
        self._seconds.append(time.perf_counter() - self._asked_at)
        if self._answer.startswith(b"HTTP/1.1 201"):
            self._next()
        else:
            self._end(RuntimeError(self._answer[:600].decode(errors="replace")))

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer that never came ends the bench."""
        self._end(exc or RuntimeError("the gateway hung up"))

    def _next(self) -> None:
        body = next(self._bodies, None)
        if body is None:
            self._end()
        elif self._transport:
            self._answer, self._asked_at = b"", time.perf_counter()
            self._transport.write(f"{self._head}content-length: {len(body)}\r\n\r\n".encode() + body)

    def _end(self, fault: Exception | None = None) -> None:
        if self.done.done():
            return
        if fault is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(fault)
        if self._transport:
            self._transport.close()


async def _record(port: int, path: str, connections: int, wanted: Json) -> Json:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {os.environ['ASSAY_TOKEN']}\r\n"
        "content-type: application/json\r\n"
    )
    bodies = iter([recording(wanted["run_id"], case) for case in wanted["cases"]])
    seconds: list[float] = []
    loop = asyncio.get_running_loop()
    began, cpu = time.perf_counter(), time.process_time()
    pairs = [await loop.create_connection(lambda: Recorder(bodies, head, seconds), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.gather(*(recorder.done for _, recorder in pairs))
    took = time.perf_counter() - began
    ended_at, spent = time.time(), time.process_time() - cpu
    seconds.sort()
    return {"p50": quantile(seconds, 0.5), "p99": quantile(seconds, 0.99), "took": took, "cpu_seconds": spent, "ended_at": ended_at}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(_record(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.load(sys.stdin)))))
