"""Calling endpoints that users name, with their keys: read no more than fits, wait as asked, and never repeat the key."""

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

MASK = "•••"


class TooLarge(Exception):
    """The answer has more bytes than it may have."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The first choice of a chat completion: its text, if it has one, and whether the endpoint's length limit cut it off."""

    text: str | None
    cut_off: bool


def bearer(api_key: str) -> dict[str, str]:
    """The header that carries the key; none without a key."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def redacted(text: str, secret: str) -> str:
    """The text without the secret, plain or as JSON spells it. To be asked before any cut: half a secret is found by no search."""
    # Servers see a header's value without the spaces around it.
    secret = secret.strip()
    if not secret:
        return text
    spelled = json.dumps(secret)[1:-1]
    for each in (secret, spelled, spelled.replace("/", "\\/")):
        text = text.replace(each, MASK)
    return text


def redacted_values(value: Any, secret: str) -> Any:
    """A JSON value whose texts are without the secret. The names in its objects stay: they are a schema's, and ours."""
    if isinstance(value, str):
        return redacted(value, secret)
    if isinstance(value, dict):
        return {name: redacted_values(each, secret) for name, each in value.items()}
    return [redacted_values(each, secret) for each in value] if isinstance(value, list) else value


def shown(body: bytes, secret: str, most: int) -> str:
    """So many characters, at most, of what an endpoint said, without the secret."""
    return redacted(body.decode("utf-8", "replace"), secret)[:most]


def retry_after_seconds(header: str | None) -> float | None:
    """A Retry-After in seconds from now, never less than 0; None if it is absent or says nothing (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(header))
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    return None


async def read_capped(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body. Raises TooLarge at the first part beyond `most` bytes, the rest unread."""
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > most:
            raise TooLarge
    return bytes(content)


def first_choice(answer: Any) -> Choice:
    """Reads a chat completion's parsed JSON. Raises ValueError if it is something else."""
    try:
        choice = answer["choices"][0]
        text, cut_off = choice["message"]["content"], choice.get("finish_reason") == "length"
    except (LookupError, TypeError, AttributeError):
        raise ValueError("this is no chat completion") from None
    return Choice(text if isinstance(text, str) else None, cut_off)
