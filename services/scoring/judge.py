"""Asks a model for a verdict: cached, once at a time for the same question, repaired once, and never guessed."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Protocol

from aiohttp import ClientSession

from services.scoring import judge_prompt, judge_reply
from services.scoring.entities import Endpoint, JudgeAnswer, JudgeError, JudgePrompt
from services.scoring.judge_endpoint import PARAMETERS, Completion, Connection, Limit
from shared.chat import redacted, redacted_values

# So much of an unusable reply is shown to the judge again.
SHOWN_REPLY = 2_000
# Characters of what is said of an unusable reply, which may quote it.
MOST_FAULT = 240
# Endpoints whose limits and formats are remembered, with their keys.
MOST_CONNECTIONS = 1_000
_REPAIR = "That reply can't be used: {fault}. Reply again, with only the JSON object that the schema asks for."

CacheValue = Mapping[str, object]


class Cache(Protocol):
    """Where verdicts are kept between runs; the values are JSON objects."""

    async def get(self, key: str) -> CacheValue | None:
        """The value put under the key, if any."""

    async def put(self, key: str, value: CacheValue) -> None:
        """Keeps the value."""


class Judge:
    """Verdicts of any OpenAI-compatible endpoint, over a session that the caller owns and guards. Without a `limit` the limits of
    an endpoint hold in this process alone.
    """

    def __init__(self, session: ClientSession, cache: Cache, limit: Limit | None = None) -> None:
        self._session = session
        self._cache = cache
        self._limit = limit
        self._connections: dict[tuple[object, ...], Connection] = {}
        self._running: dict[str, asyncio.Task[JudgeAnswer]] = {}

    async def ask(self, endpoint: Endpoint, prompt: JudgePrompt) -> JudgeAnswer:
        """The verdict on the prompt. Raises JudgeError: with no usable verdict there is no score, neither 0 nor a pass."""
        key = judge_prompt.cache_key(endpoint, prompt, PARAMETERS)
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._answer(key, endpoint, prompt))
            self._running[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        # One who gives up must not take the verdict from those who wait with him.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Gives up the calls under way."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _forget(self, key: str, done: asyncio.Task[JudgeAnswer]) -> None:
        del self._running[key]
        if not done.cancelled():
            # Looked at, or asyncio would complain of an error that nobody waited for.
            done.exception()

    async def _answer(self, key: str, endpoint: Endpoint, prompt: JudgePrompt) -> JudgeAnswer:
        kept = _from_cache(await self._cache.get(key), prompt)
        if kept is not None:
            return kept
        answer = await _Call(self._connection(endpoint), endpoint, prompt).run()
        await self._cache.put(key, {"answer": answer.answer, "provenance": answer.provenance, "warnings": list(answer.warnings)})
        return answer

    def _connection(self, endpoint: Endpoint) -> Connection:
        """Shared by the workspaces that use the endpoint with the same key: its limits are the endpoint's, not theirs."""
        limits = (endpoint.max_concurrency, endpoint.requests_per_minute, endpoint.timeout_seconds)
        key = (endpoint.base_url, endpoint.model, endpoint.api_key, *limits)
        connection = self._connections.pop(key, None) or Connection(self._session, endpoint, limit=self._limit)
        # The last in order is the one used last. Who still waits for one that goes keeps it to the end of his call.
        self._connections[key] = connection
        while len(self._connections) > MOST_CONNECTIONS:
            del self._connections[next(iter(self._connections))]
        return connection


def _from_cache(value: CacheValue | None, prompt: JudgePrompt) -> JudgeAnswer | None:
    if value is None:
        return None
    answer, provenance, warnings = value.get("answer"), value.get("provenance"), value.get("warnings")
    if not isinstance(answer, Mapping) or not isinstance(provenance, Mapping) or not isinstance(warnings, list):
        return None
    if not judge_reply.fits(answer, prompt.schema):
        return None
    return JudgeAnswer(answer, {**provenance, "cache_hit": True}, tuple(map(str, warnings)))


class _Call:
    """One question to an endpoint, and at most one more about the form of its answer."""

    def __init__(self, connection: Connection, endpoint: Endpoint, prompt: JudgePrompt) -> None:
        self._connection = connection
        self._prompt = prompt
        self._started = time.monotonic()
        self._completions: list[Completion] = []
        self._format = "unknown"
        self._endpoint = endpoint

    async def run(self) -> JudgeAnswer:
        try:
            asked, answer = await self._ask()
        except (JudgeError, judge_reply.UnusableReplyError) as error:
            told = f"its reply can't be used: {error}" if isinstance(error, judge_reply.UnusableReplyError) else str(error)
            raise JudgeError(redacted(told, self._endpoint.api_key), self._provenance()) from error
        return JudgeAnswer(answer, self._provenance(), asked.warnings)

    async def _ask(self) -> tuple[judge_prompt.Asked, judge_reply.Answer]:
        # A new tag for every call: a judged text that has seen an earlier prompt can't close the fence of this one.
        asked = judge_prompt.fenced(self._prompt, secrets.token_hex(8), self._endpoint.max_input_chars)
        reply = await self._complete(asked.messages)
        try:
            return asked, self._read(reply)
        except judge_reply.UnusableReplyError as fault:
            said = {"role": "assistant", "content": reply.text[:SHOWN_REPLY]}
            repair = {"role": "user", "content": _REPAIR.format(fault=fault)}
            return asked, self._read(await self._complete((*asked.messages, said, repair)))

    async def _complete(self, messages: tuple[judge_prompt.Message, ...]) -> Completion:
        response_format = await self._connection.response_format()
        self._format = response_format
        reply = await self._connection.complete(messages, response_format, self._prompt.template, self._prompt.schema)
        self._completions.append(reply)
        return reply

    def _read(self, reply: Completion) -> judge_reply.Answer:
        if reply.cut_off:
            raise judge_reply.UnusableReplyError("it was cut off before its end: be shorter")
        secret = self._endpoint.api_key
        try:
            answer = judge_reply.read(reply.text, self._prompt.schema, tuple(self._prompt.texts.values()))
        except judge_reply.UnusableReplyError as fault:
            raise judge_reply.UnusableReplyError(redacted(str(fault), secret)[:MOST_FAULT]) from None
        # Not in the reply as written: a key of one letter would spoil the JSON.
        return {name: redacted_values(value, secret) for name, value in answer.items()}

    def _provenance(self) -> dict[str, object]:
        return {
            "endpoint": self._endpoint.base_url,
            "model": self._endpoint.model,
            "template": f"{self._prompt.template}@{self._prompt.version}",
            "prompt_hash": judge_prompt.prompt_hash(self._prompt),
            "response_format": self._format,
            "samples": 1,
            "agreement": 1.0,
            "prompt_tokens": sum(reply.prompt_tokens for reply in self._completions),
            "completion_tokens": sum(reply.completion_tokens for reply in self._completions),
            "latency_ms": round((time.monotonic() - self._started) * 1000),
            "cache_hit": False,
            "repaired": len(self._completions) > 1,
        }
