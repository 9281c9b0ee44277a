"""One OpenAI-compatible chat endpoint: what it can do, how many calls at once, and how long it asks us to wait."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Literal

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from services.scoring import judge_reply
from services.scoring.entities import Endpoint, JudgeError

# How the endpoint can be held to a schema, the strictest first.
ResponseFormat = Literal["json_schema", "json_object", "text"]
Sleep = Callable[[float], Awaitable[None]]
Message = dict[str, str]

TRIES = 4
# An endpoint that wants a longer rest is as good as down.
LONGEST_WAIT_SECONDS = 120.0
FIRST_BACKOFF_SECONDS = 0.5
MOST_REPLY_BYTES = 1_000_000
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


class Connection:
    """The way to one endpoint, shared by all who ask it; aiohttp's session, and with it the guard on addresses, is the caller's."""

    def __init__(self, session: ClientSession, endpoint: Endpoint, sleep: Sleep = asyncio.sleep) -> None:
        self._session = session
        self._endpoint = endpoint
        self._sleep = sleep
        self._slots = asyncio.Semaphore(endpoint.max_concurrency)
        self._probing = asyncio.Lock()
        self._format: ResponseFormat | None = None
        self._rest_until = 0.0

    async def response_format(self) -> ResponseFormat:
        """The strictest format the endpoint keeps to, found out once. Raises JudgeError if it can't be reached."""
        async with self._probing:
            if self._format is None:
                self._format = await self._probe()
            return self._format

    async def complete(
        self, messages: Sequence[Message], response_format: ResponseFormat, name: str, schema: Mapping[str, object]
    ) -> Completion:
        """One answer. Raises JudgeError after four tries, or at once if the endpoint refuses."""
        request = {"model": self._endpoint.model, "messages": list(messages), **PARAMETERS, **_format(response_format, name, schema)}
        fault = ""
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(FIRST_BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
            try:
                answer = await self._post(request)
            except (ClientError, TimeoutError) as error:
                fault = str(error) or "no answer in time"
                continue
            if isinstance(answer, Completion):
                return answer
            fault = answer
        raise JudgeError(f"{fault} ({TRIES} tries)")

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
        async with self._slots:
            await self._rest()
            async with self._session.post(
                f"{self._endpoint.base_url.rstrip('/')}/chat/completions",
                json=request,
                headers={"Authorization": f"Bearer {self._endpoint.api_key}"} if self._endpoint.api_key else {},
                timeout=ClientTimeout(total=self._endpoint.timeout_seconds),
                # A redirect would lead past the guard on addresses, with the key.
                allow_redirects=False,
            ) as response:
                body = await _body(response)
        if response.status == HTTPStatus.OK:
            return _completion(body)
        told = f"the endpoint answered {response.status}: {body[:200].decode(errors='replace').strip()}"
        if response.status not in _TRANSIENT:
            raise JudgeError(told) if response.status in _FORBIDDEN else _RefusedError(told)
        self._note_rest(response.headers.get("Retry-After"))
        return told

    def _note_rest(self, retry_after: str | None) -> None:
        seconds = _seconds(retry_after)
        if seconds > LONGEST_WAIT_SECONDS:
            raise JudgeError(f"the endpoint asks for a rest of {seconds:.0f} s")
        self._rest_until = max(self._rest_until, time.monotonic() + seconds)

    async def _rest(self) -> None:
        """Waits, slot in hand, until the endpoint takes calls again: those who queue behind must not come first."""
        while (wait := self._rest_until - time.monotonic()) > 0:
            await self._sleep(wait)


async def _body(response: ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_chunked(65_536):
        body += part
        if len(body) > MOST_REPLY_BYTES:
            raise JudgeError(f"the endpoint answered with more than {MOST_REPLY_BYTES} bytes")
    return bytes(body)


def _completion(body: bytes) -> Completion | str:
    try:
        answer = json.loads(body)
        choice = answer["choices"][0]
        text, usage = choice["message"]["content"], answer.get("usage") or {}
        tokens = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "the endpoint's answer is no chat completion"
    return Completion(text if isinstance(text, str) else "", *tokens, choice.get("finish_reason") == "length")


def _format(response_format: ResponseFormat, name: str, schema: Mapping[str, object]) -> dict[str, object]:
    if response_format == "json_schema":
        return {"response_format": {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}}
    if response_format == "json_object":
        return {"response_format": {"type": "json_object", "schema": schema}}
    return {}


def _seconds(retry_after: str | None) -> float:
    """The header's seconds, or those until its date; 0 if it is absent or says nothing."""
    if retry_after is None:
        return 0.0
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
