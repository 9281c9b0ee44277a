"""One OpenAI-compatible chat endpoint: what it can do, how many calls at once, and how long it asks us to wait."""

import asyncio
import io
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout

from services.scoring import judge_reply
from services.scoring.entities import Endpoint, JudgeError
from shared import chat, observe, tracing
from shared.guard import Forbidden, check_url

# How the endpoint can be held to a schema, the strictest first.
ResponseFormat = Literal["json_schema", "json_object", "text"]
Sleep = Callable[[float], Awaitable[None]]
# Entered for every call: what holds it back while other processes make use of the endpoint's limits.
Limit = Callable[[Endpoint], AbstractAsyncContextManager[None]]
Message = dict[str, str]

TRIES = 4
# An endpoint that wants a longer rest is as good as down.
LONGEST_WAIT_SECONDS = 120.0
FIRST_BACKOFF_SECONDS = 0.5
# An endpoint that can't be reached is left alone for so long: each case for itself would find out by four tries.
AWAY_SECONDS = 10.0
MOST_REPLY_BYTES = 1_000_000
SHOWN = 200
PARAMETERS: Mapping[str, object] = {"temperature": 0, "max_tokens": 1_024}

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_FORBIDDEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_PROBE: Sequence[Message] = (
    {"role": "user", "content": 'Is 7 greater than 3? Reply with a JSON object: {"reasoning": text, "holds": boolean}'},
)
_PROBE_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"reasoning": {"type": "string"}, "holds": {"type": "boolean"}},
    "required": ["reasoning", "holds"],
}


@dataclass(frozen=True, slots=True)
class Completion:
    """What the endpoint answered, and the tokens it counted (0 where it counts none)."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    cut_off: bool


class _RefusedError(JudgeError):
    """The endpoint won't have this request, now or later."""


class _PassingError(Exception):
    """No answer came; another try may help."""


class _UnreachableError(_PassingError):
    """There was no way to the endpoint, whatever it was to be asked."""


class Connection:
    """The way to one endpoint, shared by all who ask it; aiohttp's session, and with it the guard on addresses, is the caller's."""

    def __init__(self, session: ClientSession, endpoint: Endpoint, sleep: Sleep = asyncio.sleep, limit: Limit | None = None) -> None:
        self._session = session
        self._endpoint = endpoint
        self._sleep = sleep
        self._limit = limit
        self._slots = asyncio.Semaphore(endpoint.max_concurrency)
        self._probing = asyncio.Lock()
        self._format: ResponseFormat | None = None
        self._rest_until = 0.0
        self._away: tuple[float, str] = (0.0, "")

    async def response_format(self) -> ResponseFormat:
        """The strictest format the endpoint keeps to, found out once. Raises JudgeError if it can't be reached."""
        async with self._probing:
            if self._format is None:
                self._format = await self._probe()
            return self._format

    async def complete(
        self, messages: Sequence[Message], response_format: ResponseFormat, name: str, schema: Mapping[str, object]
    ) -> Completion:
        """One answer. Raises JudgeError after four tries, or at once if the endpoint refuses or could not be reached just now."""
        request = {"model": self._endpoint.model, "messages": list(messages), **PARAMETERS, **_format(response_format, name, schema)}
        fault: object = ""
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(FIRST_BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
            self._refuse_while_away()
            try:
                answer = await self._post(request)
            except _PassingError as passing:
                fault = passing
                continue
            if isinstance(answer, Completion):
                return answer
            fault = answer
        told = f"{fault} ({TRIES} tries)"
        if isinstance(fault, _UnreachableError):
            self._away = (time.monotonic() + AWAY_SECONDS, told)
        raise JudgeError(told)

    def _refuse_while_away(self) -> None:
        until, told = self._away
        if time.monotonic() < until:
            raise JudgeError(f"{told}, and it rests for {AWAY_SECONDS:.0f} s")

    async def _probe(self) -> ResponseFormat:
        for candidate in ("json_schema", "json_object"):
            if await self._keeps_to(candidate):
                return candidate
        return "text"

    async def _keeps_to(self, response_format: ResponseFormat) -> bool:
        try:
            reply = await self.complete(_PROBE, response_format, "probe", _PROBE_SCHEMA)
            judge_reply.read(reply.text, _PROBE_SCHEMA)
        except (_RefusedError, judge_reply.UnusableReplyError):
            return False
        return reply.text.strip().startswith("{")

    async def _post(self, request: Mapping[str, object]) -> Completion | str:
        """The answer, or what went wrong if another try may help."""
        async with self._slots, self._limit(self._endpoint) if self._limit else nullcontext():
            await self._rest()
            status, body, retry_after = await self._counted(request)
        if status == HTTPStatus.OK:
            return _completion(body)
        told = f"the endpoint answered {status}: {chat.shown(body, self._endpoint.api_key, SHOWN).strip()}"
        if status not in _TRANSIENT:
            raise JudgeError(told) if status in _FORBIDDEN else _RefusedError(told)
        self._note_rest(retry_after)
        return told

    async def _counted(self, request: Mapping[str, object]) -> tuple[int, bytes, str | None]:
        status = 0
        try:
            with observe.JUDGE_SECONDS.time(), tracing.calling("call judge", **{"assay.model": self._endpoint.model}):
                answer = await self._send(request)
            status = answer[0]
        finally:
            observe.JUDGE_CALLS.labels(str(status)).inc()
        return answer

    async def _send(self, request: Mapping[str, object]) -> tuple[int, bytes, str | None]:
        """Status, body and Retry-After. What it raises is in words of ours: aiohttp's name addresses, and quote headers."""
        url = f"{self._endpoint.base_url.rstrip('/')}/chat/completions"
        headers = {**tracing.headers(), **chat.bearer(self._endpoint.api_key), "content-type": "application/json"}
        sent = io.BytesIO(orjson.dumps(request))  # in chunks: aiohttp warns of more than 1 MiB at a stroke
        timeout = ClientTimeout(total=self._endpoint.timeout_seconds)
        try:
            check_url(self._session, url)
            # A redirect would lead past the guard on addresses, with the key.
            async with self._session.post(url, data=sent, headers=headers, timeout=timeout, allow_redirects=False) as response:
                body = await chat.read_capped(response, MOST_REPLY_BYTES)
                return response.status, body, response.headers.get("Retry-After")
        except Forbidden as no:
            raise JudgeError(str(no)) from no
        except chat.TooLarge:
            raise JudgeError(f"the endpoint answered with more than {MOST_REPLY_BYTES} bytes") from None
        except ValueError as odd:  # aiohttp's InvalidURL too, and headers that can't be sent
            raise JudgeError("the URL or the API key can't be used for a call") from odd
        except TimeoutError:
            raise _PassingError("no answer in time") from None
        except ClientError as fault:
            if isinstance(fault.__cause__, Forbidden):
                raise JudgeError(str(fault.__cause__)) from fault
            raise _UnreachableError(f"the connection failed: {type(fault).__name__}") from fault

    def _note_rest(self, retry_after: str | None) -> None:
        seconds = chat.retry_after_seconds(retry_after) or 0.0
        if seconds > LONGEST_WAIT_SECONDS:
            raise JudgeError(f"the endpoint asks for a rest of {seconds:.0f} s")
        self._rest_until = max(self._rest_until, time.monotonic() + seconds)

    async def _rest(self) -> None:
        """Waits, slot in hand, until the endpoint takes calls again: those who queue behind must not come first."""
        while (wait := self._rest_until - time.monotonic()) > 0:
            await self._sleep(wait)


def _completion(body: bytes) -> Completion | str:
    try:
        answer = json.loads(body)
        choice, usage = chat.first_choice(answer), answer.get("usage") or {}
        tokens = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return "the endpoint's answer is no chat completion"
    return Completion(choice.text or "", *tokens, choice.cut_off)


def _format(response_format: ResponseFormat, name: str, schema: Mapping[str, object]) -> dict[str, object]:
    if response_format == "json_schema":
        return {"response_format": {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}}
    if response_format == "json_object":
        return {"response_format": {"type": "json_object", "schema": schema}}
    return {}
