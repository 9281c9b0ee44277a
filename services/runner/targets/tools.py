"""What targets tell beside their text: the functions that they want called, and the tokens that they used."""

from collections.abc import Mapping
from typing import Any

import orjson

from services.runner.targets import ToolCall

MAX_TOOL_CALLS = 32
MAX_DEPTH = 16
TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


def read_tool_calls(said: Any) -> tuple[ToolCall, ...]:
    """The calls in an answer's `tool_calls`, the first 32. Raises ValueError for what is no list of calls."""
    if not said:
        return ()
    try:
        return tuple(_tool_call(call, number) for number, call in enumerate(said[:MAX_TOOL_CALLS], 1))
    except (LookupError, TypeError, AttributeError):
        raise ValueError("these are no tool calls") from None


def _tool_call(call: Mapping[str, Any], number: int) -> ToolCall:
    function = call["function"]
    name = function["name"]
    if not isinstance(name, str):
        raise TypeError
    # Some endpoints leave the id out; the tool's message has to name one.
    return ToolCall(str(call.get("id") or f"call_{number}"), name, read_arguments(function.get("arguments")))


def read_arguments(said: Any) -> Mapping[str, Any] | str:
    """An object if it is one, or spells one; else its text: what an agent got wrong is to be seen, not lost."""
    if said is None:
        return {}
    found = said
    if isinstance(said, str):
        try:
            found = orjson.loads(said or "{}")
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return said
    if isinstance(found, dict) and not _deep(found, MAX_DEPTH):
        return found
    return said if isinstance(said, str) else _text(said)


def _text(said: Any) -> str:
    try:
        return orjson.dumps(said).decode()
    except (TypeError, UnicodeError):
        return "{}"


def _deep(found: Any, left: int) -> bool:
    if isinstance(found, dict):
        return left == 0 or any(_deep(each, left - 1) for each in found.values())
    return isinstance(found, list) and (left == 0 or any(_deep(each, left - 1) for each in found))


def read_usage(said: Any) -> Mapping[str, int] | None:
    """Tokens by name; None if the endpoint told of none."""
    if not isinstance(said, dict):
        return None
    return {name: said[name] for name in TOKENS if isinstance(said.get(name), int) and 0 <= said[name] < 2**53} or None
