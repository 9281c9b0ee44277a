"""Calls of chat mode: the client's agent talks to the simulated user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from services.runner.dialogue import AGENT_ENDED, FAULT, Dialogue, Scene
from services.runner.subjects import Recording
from services.runner.toolbox import ENDING

WAITING, TAKEN, TALKING, COMPLETED, FAILED = "waiting", "taken", "talking", "completed", "failed"
OVER = frozenset({COMPLETED, FAILED})

# The official client stops by itself at 50, and tells nobody.
MOST_TURNS = 45
MAX_MILLISECONDS = 2**31 - 1
MAX_MESSAGES = 100
BATCH = 20
FAREWELL = "Thank you, goodbye."
ABANDONED = "the client left the call"
NO_ANSWER = "the agent never answered"
USER, TOOL = "user", "tool"


@dataclass(frozen=True)
class ChatCall:
    """A call as it is remembered; the transcript's `user` is the simulated one."""

    id: UUID
    run_id: UUID
    ord: int
    case_id: UUID
    scenario_id: str
    state: str
    turn: int
    transcript: Sequence[Mapping[str, Any]]
    agent_errors: int
    milliseconds: int
    ended_reason: str
    began_at: datetime | None

    def dialogue(self, plan: Mapping[str, Any] | None) -> Dialogue:
        """The conversation so far, to be gone on with."""
        scene = Scene.of(plan, MOST_TURNS)
        return Dialogue(scene, [dict(message) for message in self.transcript], agent_errors=self.agent_errors)


@dataclass(frozen=True)
class Message:
    """What the client's agent, or one of its tools, said: `role` is "user" or "tool", as the client spells it."""

    role: str
    content: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True)
class Sent:
    """One message of the client: the beginning, or what was said since, and how long the agent took."""

    initiate: bool
    messages: tuple[Message, ...] = ()
    milliseconds: int = 0


@dataclass(frozen=True)
class Ending:
    """How the client says that a call ended."""

    state: str
    reason: str = ""


@dataclass(frozen=True)
class Step:
    """What became of a call by one message. `error` stands in place of an output."""

    call: ChatCall
    dialogue: Dialogue
    milliseconds: int = 0
    error: str | None = None
    input: tuple[Message, ...] = field(default=())

    @property
    def state(self) -> str:
        """Where the call stands after it."""
        if not self.dialogue.ended:
            return TALKING
        return FAILED if self.error or self.dialogue.output is None else COMPLETED

    @property
    def reason(self) -> str:
        """Why it ended; empty while it goes on."""
        return self.error or (NO_ANSWER if self.state == FAILED else self.dialogue.ended)

    def recording(self) -> Recording:
        """What an ended call leaves."""
        record = {"transcript": self.dialogue.transcript, "termination_reason": self.dialogue.ended}
        # The client tells how long each message took; together they may be more than a result's column holds.
        milliseconds = min(self.milliseconds, MAX_MILLISECONDS)
        if self.state == FAILED:
            return Recording(None, self.reason, milliseconds, record)
        return Recording(self.dialogue.output, None, milliseconds, record)

    def lines(self) -> list[tuple[str, str]]:
        """(role, content) as the client spells them; the last one is the simulated user's."""
        roles = {"user": "assistant", "assistant": "user"}
        said = [(roles.get(message["role"], message["role"]), message["content"]) for message in self.dialogue.transcript]
        if not said or said[-1][0] != "assistant" or not said[-1][1].strip():
            said.append(("assistant", FAREWELL))
        return said


def listen(dialogue: Dialogue, messages: Sequence[Message]) -> None:
    """Takes in what the agent and its tools said."""
    for message in messages:
        if message.role == TOOL:
            dialogue.tool(message.tool_call_id, message.content)
            continue
        dialogue.answer(message.content, message.tool_calls)
        if any(call["name"] in ENDING for call in message.tool_calls):
            dialogue.ended = dialogue.ended or AGENT_ENDED


def ended(call: ChatCall, ending: Ending) -> Step:
    """What becomes of a call that the client ends."""
    dialogue = call.dialogue(None)
    reason = dialogue.cut(ending.reason)
    if ending.state == COMPLETED:
        dialogue.ended = reason or AGENT_ENDED
        return Step(call, dialogue, call.milliseconds)
    dialogue.ended = FAULT
    return Step(call, dialogue, call.milliseconds, reason or "the client ended the call as failed")
