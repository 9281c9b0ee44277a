"""OpenAI-compatible chat endpoints."""

import io
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from services.runner.targets import Call, Failed, Refused, Reply, Throttled
from services.runner.targets.tools import read_tool_calls, read_usage
from shared import chat, tracing
from shared.guard import Forbidden, check_url

MAX_ANSWER_BYTES = 8 << 20
TOO_MANY, TIMEOUT_STATUS = 429, 408
SHOWN = 300


class OpenAI:
    """Calls `<base_url>/chat/completions` through a guarded session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, call: Call) -> Reply:
        """The first choice's text. Raises Refused for a final no, Failed for anything that may pass, Throttled on 429."""
        answer = await post(self._session, f"{call.base_url}/chat/completions", call, _body(call))
        return _reply(answer, call.api_key)


async def post(session: aiohttp.ClientSession, url: str, call: Call, body: bytes) -> bytes:
    """What the target answers with a 2xx. Raises Throttled on 429, Failed for what may pass, Refused for a final no."""
    headers = {"content-type": "application/json", "idempotency-key": call.key, **tracing.headers(), **chat.bearer(call.api_key)}
    timeout = aiohttp.ClientTimeout(total=call.timeout)
    try:
        check_url(session, url)
        # A stream goes out in chunks; bytes beyond 1 MiB at a stroke, and aiohttp warns of it.
        async with session.post(url, data=io.BytesIO(body), headers=headers, timeout=timeout, allow_redirects=False) as response:
            answer = await chat.read_capped(response, MAX_ANSWER_BYTES)
    except Forbidden as no:
        raise Refused(str(no)) from no
    except chat.TooLarge:
        raise Refused(f"the answer is larger than {MAX_ANSWER_BYTES >> 20} MB") from None
    except ValueError as odd:  # aiohttp's InvalidURL too, and headers that can't be sent
        raise Refused("the URL or the API key can't be used for a call") from odd
    except TimeoutError:
        raise Failed(f"no answer within {call.timeout:g} s") from None
    except aiohttp.ClientError as fault:
        if isinstance(fault.__cause__, Forbidden):
            raise Refused(str(fault.__cause__)) from fault
        raise Failed(f"the connection failed: {type(fault).__name__}") from fault
    _check_status(call, response.status, answer, response.headers.get("retry-after"))
    return answer


def _check_status(call: Call, status: int, answer: bytes, retry_after: str | None) -> None:
    if status == TOO_MANY:
        raise Throttled(chat.retry_after_seconds(retry_after))
    if status == TIMEOUT_STATUS or status >= 500:  # noqa: PLR2004 server errors
        raise Failed(f"HTTP {status}")
    if not 200 <= status < 300:  # noqa: PLR2004 success
        raise Refused(f"HTTP {status}: {chat.shown(answer, call.api_key, SHOWN)}")


def parsed(body: bytes) -> Any:
    """The JSON of an answer. Broken UTF-8 and lone surrogates are kept as surrogates, to be replaced and flagged like
    U+0000: strict parsers refuse them, and the case would be lost. Raises ValueError.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8", "surrogateescape"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _messages(call: Call) -> list[Mapping[str, Any]]:
    if call.messages:
        return list(call.messages)
    messages: list[Mapping[str, Any]] = []
    if call.statement:
        messages.append({"role": "system", "content": call.statement})
    for turn in call.history:
        messages.append({"role": "user", "content": turn.question})
        messages.append({"role": "assistant", "content": turn.answer})
    messages.append({"role": "user", "content": _content(call)})
    return messages


def _body(call: Call) -> bytes:
    body = {**call.parameters, "messages": _messages(call), "stream": False}
    if call.tools:
        body["tools"] = list(call.tools)
    if call.model:
        body["model"] = call.model
    return orjson.dumps(body)


def _content(call: Call) -> str | list[dict[str, Any]]:
    if not call.file_url:
        return call.question
    text = {"type": "text", "text": call.question}
    if (call.file_mime_type or "").startswith("image/"):
        return [text, {"type": "image_url", "image_url": {"url": call.file_url}}]
    return [text, {"type": "text", "text": f"Attached file: {call.file_url}"}]


def _reply(answer: bytes, secret: str) -> Reply:
    try:
        said = parsed(answer)
        choice = chat.first_choice(said)
        tool_calls = read_tool_calls(said["choices"][0]["message"].get("tool_calls"))
    except ValueError:
        raise Refused(f"not a chat completion: {chat.shown(answer, secret, SHOWN)}") from None
    if choice.text is None and not tool_calls:
        raise Refused("the chat completion has no text")
    warnings = ("the answer was cut off at the endpoint's length limit",) if choice.cut_off else ()
    return Reply(choice.text or "", warnings, tool_calls, read_usage(said.get("usage")))
