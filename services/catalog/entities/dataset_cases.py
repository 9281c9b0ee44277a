"""A case of a dataset: what goes in, and what a good output says. Its content is kept as it is given back."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from services.catalog.entities.datasets import AGENT

ROLES = ("system", "user", "assistant", "developer")
MEDIA = ("image", "audio", "file")
MAX_CASES = 10_000

# (path below the case, what is wrong)
Found: TypeAlias = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Example:
    """What a caller says about a case: plain JSON, None for null or absent."""

    inputs: Any
    output: Any = None
    output_message: Any = None
    metadata: Any = None
    history: Any = None
    media_inputs: Any = None

    def faults(self, kind: str) -> Found:
        """What is wrong with it in a dataset of this kind."""
        if self.inputs is None:
            yield ".inputs", "is required"
        yield from _object_faults(".metadata", self.metadata)
        if kind != AGENT:
            yield from self._prompt_faults()

    def _prompt_faults(self) -> Found:
        yield from _object_faults(".inputs", self.inputs)
        if self.output is not None and not isinstance(self.output, str):
            yield ".output", "must be a text"
        if self.output_message is not None:
            yield from _message_faults(".output_message", self.output_message)
        yield from _history_faults(self.history)
        yield from _media_faults(self.media_inputs)

    def content(self, kind: str) -> dict[str, Any]:
        """What is kept of it, and what a run gives to the client and to scoring; `kind` tells prompts and agents apart."""
        if kind == AGENT:
            return {"kind": "agent", "input": self.inputs, "output": self.output, "metadata": self.metadata}
        return {
            "kind": "prompt",
            "values": self.inputs,
            "output": self.output,
            "output_message": _in_blocks(self.output_message),
            "history": None if self.history is None else [_in_blocks(message) for message in self.history],
            "metadata": self.metadata,
            "media_variables": self.media_inputs,
        }


@dataclass(frozen=True)
class DatasetCase:
    """A case of a dataset, as its revision holds it."""

    id: UUID
    workspace_id: UUID
    dataset_id: UUID
    content: Mapping[str, Any]
    created_at: datetime

    @property
    def question(self) -> str:
        """Its input as a text: of an object with a single value, that value."""
        found = self.content.get("input", self.content.get("values"))
        if isinstance(found, dict) and len(found) == 1:
            found = next(iter(found.values()))
        return _text(found)

    @property
    def expected(self) -> str:
        """What a good output says; "" if nobody said so."""
        output = self.content["output"]
        message = self.content.get("output_message")
        return _text(output) if output is not None or message is None else _said(message)


def _text(found: Any) -> str:
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, sort_keys=True)


def _said(message: Mapping[str, Any]) -> str:
    return "\n".join(block["text"] for block in message["content"] if block["type"] == "text")


def _in_blocks(message: Any) -> Any:
    if message is None or not isinstance(message["content"], str):
        return message
    return {**message, "content": [{"type": "text", "text": message["content"]}]}


def _object_faults(path: str, found: Any) -> Found:
    if found is not None and not isinstance(found, dict):
        yield path, "must be an object"


def _history_faults(history: Any) -> Found:
    if history is None:
        return
    if not isinstance(history, list):
        yield ".history", "must be an array of messages"
        return
    for index, message in enumerate(history):
        yield from _message_faults(f".history[{index}]", message)


def _message_faults(path: str, message: Any) -> Found:
    if not isinstance(message, dict):
        yield path, "must be a message"
        return
    if message.get("role") not in ROLES:
        yield f"{path}.role", f"must be one of {', '.join(ROLES)}"
    content = message.get("content")
    if isinstance(content, list):
        for index, block in enumerate(content):
            yield from _block_faults(f"{path}.content[{index}]", block)
    elif not isinstance(content, str):
        yield f"{path}.content", "must be a text or an array of blocks"


def _block_faults(path: str, block: Any) -> Found:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "text":
        yield from _texts(path, block, ("text",))
    elif kind == "tool_call":
        yield from _texts(path, block, ("id", "name"))
    elif kind == "tool_result":
        yield from _texts(path, block, ("tool_call_id",))
    elif kind in MEDIA:
        if not isinstance(block.get("media_reference"), dict):
            yield f"{path}.media_reference", "must be an object"
    else:
        yield f"{path}.type", f"must be one of text, tool_call, tool_result, {', '.join(MEDIA)}"


def _media_faults(media: Any) -> Found:
    yield from _object_faults(".media_inputs", media)
    for name, item in media.items() if isinstance(media, dict) else ():
        path = f".media_inputs.{name}"
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "url":
            yield from _texts(path, item, ("url",))
        elif kind == "base64":
            yield from _texts(path, item, ("data", "content_type"))
        else:
            yield f"{path}.type", "must be one of url, base64"


def _texts(path: str, found: Mapping[str, Any], keys: tuple[str, ...]) -> Found:
    for key in keys:
        if not isinstance(found.get(key), str):
            yield f"{path}.{key}", "must be a text"
