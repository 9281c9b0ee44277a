"""Messages as providers spell them, told in one spelling: {role, content, tool_calls?: [{id, name, arguments}], tool_call_id?}."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

ROLES = {"model": "assistant", "human": "user", "function": "tool"}
CALL_TYPES = {"tool_call", "tool_use", "function_call"}
# Where the call itself stands: OpenAI's chats, Gemini (in either case), Bedrock.
CALL_KEYS = ("function", "functionCall", "function_call", "toolUse")
RESULT_TYPES = {"tool_result", "function_call_output"}
RESULT_KEYS = ("functionResponse", "function_response", "toolResult")


def turns(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a message says; what its tools answered are turns of their own."""
    blocks = _blocks(message)
    answered = [_result(block) for block in blocks if _is_result(block)]
    said: dict[str, Any] = {"role": _role(message), "content": text_of(message)}
    if calls := [*map(_call, _objects(message.get("tool_calls"))), *(_call(block) for block in blocks if _is_call(block))]:
        said["tool_calls"] = calls
    if message.get("tool_call_id"):
        said["tool_call_id"] = str(message["tool_call_id"])
    silent = answered and not said["content"] and not calls
    return answered if silent else [*answered, said]


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message: a string, blocks with a text, or Gemini's parts."""
    content = _content(message)
    if isinstance(content, list):
        return "\n".join(text for block in content if (text := _block_text(block)))
    return text_for(content) if content is not None else ""


def text_for(found: Any) -> str:
    """A text as it is, any other JSON in its own notation; sorted, as the catalog spells what is expected, for a Struct knows no order."""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, sort_keys=True)


def _content(message: Mapping[str, Any]) -> Any:
    return message.get("content", message.get("parts"))


def _block_text(block: Any) -> str:
    if isinstance(block, str):
        return block
    return str(block.get("text") or "") if isinstance(block, dict) else ""


def _role(message: Mapping[str, Any]) -> str:
    role = str(message.get("role", "assistant"))
    return ROLES.get(role, role)


def _objects(found: Any) -> Iterator[Mapping[str, Any]]:
    return (each for each in found if isinstance(each, dict)) if isinstance(found, list) else iter(())


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Its blocks, and the message itself: OpenAI's responses hold calls beside messages."""
    return [message, *_objects(_content(message))]


def _inner(block: Mapping[str, Any], keys: tuple[str, ...]) -> Mapping[str, Any]:
    return next((block[key] for key in keys if isinstance(block.get(key), dict)), block)


def _first(*found: Any) -> Any:
    return next((each for each in found if each is not None), None)


def _is_call(block: Mapping[str, Any]) -> bool:
    return block.get("type") in CALL_TYPES or _inner(block, CALL_KEYS) is not block


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    inner = _inner(block, CALL_KEYS)
    return {
        "id": str(_first(block.get("call_id"), block.get("id"), inner.get("id"), inner.get("toolUseId"), "")),
        "name": str(_first(inner.get("name"), "")),
        "arguments": _first(inner.get("arguments"), inner.get("args"), inner.get("input"), {}),
    }


def _is_result(block: Mapping[str, Any]) -> bool:
    return block.get("type") in RESULT_TYPES or _inner(block, RESULT_KEYS) is not block


def _result(block: Mapping[str, Any]) -> dict[str, Any]:
    inner = _inner(block, RESULT_KEYS)
    named = (inner.get(key) for key in ("tool_call_id", "tool_use_id", "toolUseId", "call_id", "id", "name"))
    content = _first(inner.get("content"), inner.get("output"), inner.get("response"), "")
    return {"role": "tool", "content": text_of({"content": content}), "tool_call_id": str(_first(*named, ""))}
