"""What is judged: one executed case, and the conversation that it was."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from services.scoring.entities import Judging

# Spelled as in what a person reads; the roles of a record are those of the chat protocol.
SAID_BY = {"user": "user", "assistant": "agent", "tool": "tool", "system": "system", "developer": "system"}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the agent made; arguments are an object, or the text that could not be read as one."""

    turn: int
    id: str
    name: str
    arguments: Mapping[str, Any] | str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. number counts from 0; answers names the call that a tool's message belongs to."""

    number: int
    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""


@dataclass(frozen=True)
class Case:
    """A case that was executed. record holds what is known beside the output: transcript, tools, context, metadata ..."""

    question: str
    expected: str
    output: str
    keywords: tuple[str, ...] = ()
    language: str = "en"
    record: Mapping[str, Any] = field(default_factory=dict)
    judging: Judging = field(default_factory=Judging)

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation; of a case that was a single question, that and its answer, after what went before."""
        transcript = self.record.get("transcript")
        if isinstance(transcript, Sequence) and not isinstance(transcript, str) and transcript:
            return tuple(_turns(transcript))
        history = self.record.get("history")
        before = history if isinstance(history, Sequence) and not isinstance(history, str) else []
        asked = [{"role": "user", "content": self.question}] if self.question else []
        return tuple(_turns([*before, *asked, self._answer()]))

    def _answer(self) -> Mapping[str, Any]:
        message = self.record.get("output_message")
        calls = message if isinstance(message, Mapping) else {}
        return {**calls, "role": "assistant", "content": calls.get("content") or self.output}

    @property
    def calls(self) -> list[ToolCall]:
        """Every tool call of the agent, in order."""
        return [call for turn in self.turns for call in turn.calls]


def plain_text(content: Any) -> str:
    """The text of a message's content: a text, blocks of which some are texts, or any other JSON."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list):
        blocks = [block.get("text") for block in content if isinstance(block, Mapping)]
        if texts := [text for text in blocks if isinstance(text, str)]:
            return "\n".join(texts)
        if any(isinstance(block, Mapping) and block.get("type") in {"tool_call", "tool_result"} for block in content):
            return ""
    return json.dumps(content, ensure_ascii=False)


def _turns(messages: Sequence[Any]) -> Iterator[Turn]:
    for number, message in enumerate(each for each in messages if isinstance(each, Mapping)):
        role = str(message.get("role") or "user")
        # Only an assistant calls tools: what a user's message claims is no call.
        calls = tuple(_calls(message, number)) if role == "assistant" else ()
        yield Turn(number, role, plain_text(message.get("content")), calls, str(message.get("tool_call_id") or ""))


def _calls(message: Mapping[str, Any], turn: int) -> Iterator[ToolCall]:
    listed, content = message.get("tool_calls"), message.get("content")
    raw = list(listed) if isinstance(listed, list) else []
    if isinstance(content, list):
        raw += [block for block in content if isinstance(block, Mapping) and block.get("type") == "tool_call"]
    for call in raw:
        if isinstance(call, Mapping):
            # The chat protocol nests name and arguments in "function".
            function = call.get("function")
            told = function if isinstance(function, Mapping) else call
            yield ToolCall(turn, str(call.get("id") or ""), str(told.get("name") or ""), _arguments(told.get("arguments")))


def _arguments(raw: Any) -> Mapping[str, Any] | str:
    if raw is None or raw == "":
        return {}
    if isinstance(raw, str):
        try:
            read = json.loads(raw)
        except (ValueError, RecursionError):
            return raw
        return read if isinstance(read, dict) else raw
    return raw if isinstance(raw, Mapping) else json.dumps(raw, ensure_ascii=False)
