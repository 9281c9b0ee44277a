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


@dataclass(frozen=True)
class Reply:
    """What a target answered."""

    text: str
    warnings: tuple[str, ...] = field(default=())


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
