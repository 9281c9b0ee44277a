"""A server on loopback that speaks the OpenAI chat protocol and answers as a test tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Request = Mapping[str, Any]
# A response can be sent only once, so an answer that may be needed again is made anew for every request.
Answer = str | Callable[[], web.Response]
VERDICT: Mapping[str, object] = {
    "reasoning": "It says the same.",
    "answers_question": True,
    "consistent_with_expected": True,
    "complete": True,
    "no_contradiction": True,
}


@dataclass
class ChatServer:
    """Keeps to the formats it supports, refuses the others, and answers questions in turn: the last answer stays."""

    formats: Sequence[str] = ("json_schema", "json_object", "text")
    answers: list[Answer] = field(default_factory=lambda: [json.dumps(VERDICT)])
    delay_seconds: float = 0.0
    # If there are passes, every answer waits for one.
    passes: asyncio.Semaphore | None = None
    probes: list[Request] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    most_at_once: int = 0
    port: int = 0
    _at_once: int = 0

    @property
    def base_url(self) -> str:
        """Ends in `/v1`, as the protocol's clients expect."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def complete(self, http: web.Request) -> web.Response:
        request = await http.json()
        self.authorizations.add(http.headers.get("Authorization", ""))
        is_probe = "Is 7 greater than 3?" in request["messages"][0]["content"]
        (self.probes if is_probe else self.requests).append(request)
        if request.get("response_format", {"type": "text"})["type"] not in self.formats:
            return web.json_response({"error": {"message": "response_format is not supported"}}, status=400)
        if is_probe:
            return _completion('{"reasoning": "7 is more", "holds": true}')
        return await self._answer()

    async def _answer(self) -> web.Response:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.delay_seconds)
        if self.passes is not None:
            await self.passes.acquire()
        self._at_once -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer() if callable(answer) else _completion(answer)


def _completion(text: str, finish_reason: str = "stop") -> web.Response:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 100, "completion_tokens": 20}
    return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}], "usage": usage})


def cut_off(text: str) -> Answer:
    """An answer that ended because the tokens did."""
    return lambda: _completion(text, "length")


def refusal(status: int, **headers: str) -> Answer:
    """An answer with this status; `Retry_After` becomes the header of that name."""
    return lambda: web.Response(status=status, text="no", headers={name.replace("_", "-"): value for name, value in headers.items()})


@asynccontextmanager
async def serving(server: ChatServer) -> AsyncIterator[ChatServer]:
    """The server on a free port."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.complete)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
