"""OpenAI-compatible chat endpoints."""

import contextlib
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from services.runner.targets import Call, Failed, Refused, Reply, Throttled
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
        headers = {"content-type": "application/json", "idempotency-key": call.key}
        if call.api_key:
            headers["authorization"] = f"Bearer {call.api_key}"
        status, body, retry_after = await post(self._session, f"{call.base_url}/chat/completions", _body(call), headers, call.timeout)
        check_status(status, body, retry_after)
        return _reply(body)


async def post(
    session: aiohttp.ClientSession,
    url: str,
    body: bytes,
    headers: dict[str, str],
    timeout: float,  # noqa: ASYNC109 aiohttp's
) -> tuple[int, bytes, str | None]:
    """(status, body, Retry-After). Raises Refused for a forbidden address, Failed for a call that didn't come to an answer."""
    try:
        check_url(session, url)
        async with session.post(
            url, data=body, headers=headers, timeout=aiohttp.ClientTimeout(total=timeout), allow_redirects=False
        ) as response:
            content = await _read(response)
            return response.status, content, response.headers.get("retry-after")
    except Forbidden as no:
        raise Refused(str(no)) from no
    except ValueError as odd:  # aiohttp's InvalidURL too, and headers that can't be sent
        raise Refused("the URL or the API key can't be used for a call") from odd
    except TimeoutError:
        raise Failed(f"no answer within {timeout:g} s") from None
    except aiohttp.ClientError as fault:
        if isinstance(fault.__cause__, Forbidden):
            raise Refused(str(fault.__cause__)) from fault
        raise Failed(f"the connection failed: {type(fault).__name__}") from fault


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise Refused(f"the answer is larger than {MAX_ANSWER_BYTES >> 20} MB")
    return bytes(content)


def check_status(status: int, body: bytes, retry_after: str | None) -> None:
    """Raises Throttled, Failed or Refused unless the status is 2xx."""
    if status == TOO_MANY:
        raise Throttled(_seconds(retry_after))
    if status == TIMEOUT_STATUS or status >= 500:  # noqa: PLR2004 server errors
        raise Failed(f"HTTP {status}")
    if not 200 <= status < 300:  # noqa: PLR2004 success
        raise Refused(f"HTTP {status}: {body[:SHOWN].decode('utf-8', 'replace')}")


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


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(retry_after))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    return None


def _body(call: Call) -> bytes:
    messages: list[dict[str, Any]] = []
    if call.statement:
        messages.append({"role": "system", "content": call.statement})
    for turn in call.history:
        messages.append({"role": "user", "content": turn.question})
        messages.append({"role": "assistant", "content": turn.answer})
    messages.append({"role": "user", "content": _content(call)})
    body = {**call.parameters, "messages": messages, "stream": False}
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


def _reply(body: bytes) -> Reply:
    try:
        choice = parsed(body)["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise Refused(f"not a chat completion: {body[:SHOWN].decode('utf-8', 'replace')}") from None
    if not isinstance(text, str):
        raise Refused("the chat completion has no text")
    cut = choice.get("finish_reason") == "length"
    return Reply(text, ("the answer was cut off at the endpoint's length limit",) if cut else ())
