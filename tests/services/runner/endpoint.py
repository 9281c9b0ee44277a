"""An endpoint that answers as it is told, on loopback, and remembers what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

MAX_BODY_BYTES = 8 << 20


@dataclass
class Answer:
    """One answer of an endpoint, after so many seconds."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Endpoint:
    """Gives its answers in turn, the last ever after."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    at_once: int = 0
    most: int = 0

    def says(self, *answers: Answer | bytes | int) -> None:
        """What it answers next: an answer, a body, or a status."""
        self.answers = [_answer(said) for said in answers]

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(orjson.loads(await request.read() or b"{}"))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.paths.append(request.path)
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(said.seconds)
        finally:
            self.at_once -= 1
        return web.Response(body=said.body, status=said.status, headers=said.headers)


def _answer(said: Answer | bytes | int) -> Answer:
    if isinstance(said, bytes):
        return Answer(said)
    return Answer(status=said) if isinstance(said, int) else said


def chat(text: object, **choice: object) -> bytes:
    """A chat completion."""
    return orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop", **choice}]})


def tool_chat(*functions: tuple[str, str], text: str | None = None) -> bytes:
    """A chat completion that calls functions, each given as (name, arguments)."""
    calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(functions)
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return orjson.dumps({"choices": [{"message": {"content": text, "tool_calls": calls}}], "usage": usage})


@contextlib.asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    """A listening endpoint."""
    made = Endpoint(answers=[Answer(chat("hello"))])
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()
