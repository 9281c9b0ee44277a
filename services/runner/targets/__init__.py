"""What a run calls: one interface, a file per kind of connection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.runner.entities import Turn


@dataclass(frozen=True)
class Call:
    """One question to a target. `timeout` in seconds; `key` identifies the case, for targets that dedupe. `messages`, where there
    are any, are sent as they are, in place of statement, history and question.
    """

    question: str
    history: Sequence[Turn]
    statement: str
    model: str
    parameters: Mapping[str, Any]
    base_url: str
    api_key: str
    timeout: float
    key: str
    file_url: str | None = None
    file_mime_type: str | None = None
    messages: Sequence[Mapping[str, Any]] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    """Functions that the target may call, as an OpenAI endpoint takes them."""


@dataclass(frozen=True)
class ToolCall:
    """A function that a target wants called; the arguments as an object, or as the target's text where that is none."""

    id: str
    name: str
    arguments: Mapping[str, Any] | str


@dataclass(frozen=True)
class Reply:
    """What a target answered; the text is empty where it only calls tools. `usage`: its tokens by name, if it told."""

    text: str
    warnings: tuple[str, ...] = field(default=())
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Mapping[str, int] | None = None


class Refused(Exception):
    """The target's no is final: asking again would change nothing."""


class Failed(Exception):
    """The call failed, and may succeed when tried again."""


class Throttled(Failed):
    """The target asks to be left alone for `seconds`; None if it didn't say for how long."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__("too many requests")
        self.seconds = seconds


class Target(Protocol):
    """A kind of target."""

    async def ask(self, call: Call) -> Reply:
        """Raises Refused, Failed or Throttled."""
        ...
