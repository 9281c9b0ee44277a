"""The few things that the demo asks of the gateway, and what it says when they go wrong."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

OK, CREATED, NO_CONTENT, UNAVAILABLE = 200, 201, 204, 503
TRIES = 5
PAUSE_SECONDS = 0.5
PAGE_SIZE = 100
# The gateway sends a comment every 15 s; a stream that is silent for longer is dead.
SILENT_SECONDS = 40.0

Json = dict[str, Any]


class DemoFailedError(RuntimeError):
    """The demo cannot go on; the message is one sentence for whoever started it."""


class Gateway:
    """The REST API at `url`, with the credentials that `session` sends."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.url = url
        self._session = session

    async def read(self, path: str, **query: str | int) -> Json:
        """A JSON object. Raises DemoFailedError."""
        return await self._asked("GET", path, {}, params=query)

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """What was made. The key lets a lost answer be asked for again without making it twice. Raises DemoFailedError."""
        return await self._asked("POST", path, {"idempotency-key": str(uuid.uuid4())}, json=body)

    async def upload(self, path: str, name: str, content: bytes) -> Json:
        """What became of an uploaded CSV file. Raises DemoFailedError."""
        form = aiohttp.FormData()
        form.add_field("file", content, filename=name, content_type="text/csv")
        return await self._answer("POST", path, {}, data=form)

    async def everything(self, path: str) -> list[Json]:
        """The items of all pages of a list. Raises DemoFailedError."""
        items: list[Json] = []
        page, pages = 0, 1
        while page < pages:
            page += 1
            answer = await self.read(path, page=page, page_size=PAGE_SIZE)
            items += answer["items"]
            pages = answer["total_pages"]
        return items

    async def save(self, path: str, file: Path) -> None:
        """Writes what a GET answers to a file, whole or not at all. Raises DemoFailedError."""
        partial = file.with_name(f".{file.name}.partial")
        try:
            async with self._session.get(f"{self.url}{path}") as response:
                await _check(response, "GET", path)
                with partial.open("wb") as target:
                    async for chunk in response.content.iter_any():
                        target.write(chunk)
        except aiohttp.ClientError as fault:
            raise DemoFailedError(self._lost(fault)) from fault
        partial.replace(file)

    async def stream(self, path: str, last_event_id: str) -> AsyncIterator[bytes]:
        """The chunks of an event stream after an event; none where nothing follows it.

        Raises aiohttp.ClientError and TimeoutError when it breaks, DemoFailedError when it is refused.
        """
        headers = {"last-event-id": last_event_id} if last_event_id else {}
        patience = aiohttp.ClientTimeout(total=None, sock_read=SILENT_SECONDS)
        async with self._session.get(f"{self.url}{path}", headers=headers, timeout=patience) as response:
            if response.status == UNAVAILABLE:
                response.raise_for_status()
            await _check(response, "GET", path)
            async for chunk in response.content.iter_any():
                yield chunk

    async def _asked(self, method: str, path: str, headers: Mapping[str, str], **content: Any) -> Json:
        """An answer, asked for again where a restart is in the way and asking twice does no harm."""
        for _ in range(TRIES - 1):
            try:
                return await self._answer(method, path, headers, **content)
            except _AwayError:
                await asyncio.sleep(PAUSE_SECONDS)
        return await self._answer(method, path, headers, **content)

    async def _answer(self, method: str, path: str, headers: Mapping[str, str], **content: Any) -> Json:
        try:
            async with self._session.request(method, f"{self.url}{path}", headers=headers, **content) as response:
                await _check(response, method, path)
                answer: Json = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise _AwayError(self._lost(fault)) from fault

    def _lost(self, fault: Exception) -> str:
        return f"The gateway at {self.url} did not answer ({fault or type(fault).__name__}); `make status` tells what runs."


class _AwayError(DemoFailedError):
    """Nobody answered; asking again may help."""


async def _check(response: aiohttp.ClientResponse, method: str, path: str) -> None:
    if response.status in {OK, CREATED, NO_CONTENT}:
        return
    kind = _AwayError if response.status == UNAVAILABLE else DemoFailedError
    raise kind(refusal(method, path, response.status, await response.read()))


def refusal(method: str, path: str, status: int, body: bytes) -> str:
    """A sentence about an answer that is an error, with the reason that its JSON gives."""
    try:
        reason = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        reason = "no reason was given"
    return f"{method} {path.partition('?')[0]} was refused with {status}: {reason}"
