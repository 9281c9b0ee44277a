"""What targets and clients say, made fit for storage."""

import math
from collections.abc import Sequence
from typing import Any

from shared import chat, hygiene

LARGEST_INTEGER = 2**63
# A shorter key may be a word of an honest answer.
SHORTEST_KEY = 8


def storable(value: Any, secrets: Sequence[str] = ()) -> Any:
    """JSON that somebody else sent, fit for storage: no U+0000, no surrogates, no secret, no number that JSON hasn't."""
    if isinstance(value, str):
        return without_keys(hygiene.cleaned(value)[0], secrets)
    if isinstance(value, dict):
        return {storable(str(name), secrets): storable(each, secrets) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable(each, secrets) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return float(value) if isinstance(value, int) and abs(value) >= LARGEST_INTEGER else value


def without_keys(text: str, secrets: Sequence[str]) -> str:
    """The text without the keys that it repeats."""
    for secret in secrets:
        text = chat.redacted(text, secret) if len(secret) >= SHORTEST_KEY else text
    return text
