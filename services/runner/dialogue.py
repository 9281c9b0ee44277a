"""A conversation between a simulated user and an agent: what was said, who speaks next, and why it ends. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

# What the model that plays the user writes behind its last words; a script may use them too.
END, GOAL_REACHED = "[END]", "[GOAL MET]"

USER_ENDED, AGENT_ENDED, GOAL_MET = "user_ended", "agent_ended", "goal_met"
MAX_TURNS, MAX_DURATION = "max_turns", "max_duration"
REPEATED_USER, AGENT_ERRORS, FAULT = "repeated_user", "agent_errors", "error"
MAX_LENGTH = "max_length"

DEFAULT_TURNS, MOST_TURNS = 10, 200
MOST_ALIKE = 3
MOST_AGENT_ERRORS = 3
MAX_TEXT = 20_000
CUT = f"a text was cut off after {MAX_TEXT} characters"
MAX_TRANSCRIPT = 1_000_000
"""Characters of a whole conversation: what was said, and the calls of tools as JSON. At most 6 MB as JSON, whatever the characters:
less than any service or the gateway takes at once.
"""
FRAME = 100  # characters that a message and a call count beside their texts, so that empty ones come to an end too
TOO_LONG = f"the conversation was ended after {MAX_TRANSCRIPT} characters"

OPENING = "(The conversation begins: say the first thing that you would say.)"
SILENCE = "(no answer)"
RULES = f"""\
You play the user in a conversation with an assistant. You are not the assistant: don't help, don't answer for it, and
don't mention that you play. Write only what the user says next, as one short message.
Once your goal is reached, write {GOAL_REACHED} behind your last words; if you want to leave before, write {END}."""


@dataclass(frozen=True)
class Scene:
    """How the simulated user of a case behaves; as the message Simulation."""

    script: tuple[str, ...] = ()
    instructions: str = ""
    goal: str = ""
    max_turns: int = DEFAULT_TURNS
    max_duration_seconds: int = 0

    @classmethod
    def of(cls, plan: Mapping[str, Any] | None, most_turns: int = MOST_TURNS) -> "Scene":
        """The scene of a case's plan."""
        said = (plan or {}).get("simulation") or {}
        turns = min(said.get("max_turns") or DEFAULT_TURNS, most_turns)
        return cls(
            tuple(line for line in said.get("script", ()) if line.strip()),
            said.get("instructions", ""),
            said.get("goal", ""),
            max(1, turns),
            said.get("max_duration_seconds", 0),
        )

    def prompt(self) -> str:
        """What the model that plays the user is told."""
        goal = f"\n\nYour goal: {self.goal}" if self.goal else ""
        return f"{RULES}\n\nWho you are, and what you do:\n{self.instructions}{goal}"


@dataclass(frozen=True)
class Line:
    """What the simulated user says, and why the conversation ends with it; "" while it goes on."""

    text: str
    ends: str = ""


def read_line(said: str) -> Line:
    """A user's words without the tokens that end the conversation."""
    ends = GOAL_MET if GOAL_REACHED in said else USER_ENDED if END in said else ""
    text = said.replace(GOAL_REACHED, "").replace(END, "").strip() if ends else said
    return Line(text, ends if ends or text.strip() else USER_ENDED)


@dataclass
class Dialogue:
    """What was said so far: messages {role, content, tool_calls?, tool_call_id?}, `user` being the simulated one."""

    scene: Scene
    transcript: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""
    agent_errors: int = 0
    warnings: dict[str, None] = field(default_factory=dict)
    _length: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._length = sum(map(_length, self.transcript))

    @property
    def lines(self) -> list[str]:
        """What the user said."""
        return [message["content"] for message in self.transcript if message["role"] == "user"]

    @property
    def output(self) -> str | None:
        """The agent's last words; "" if it only called tools, None if it never answered."""
        said = [message["content"] for message in self.transcript if message["role"] == "assistant"]
        return next((text for text in reversed(said) if text), "" if said else None)

    def scripted(self) -> Line:
        """The next line of the script."""
        spoken = len(self.lines)
        return read_line(self.scene.script[spoken]) if spoken < len(self.scene.script) else Line("", USER_ENDED)

    def exhausted(self) -> bool:
        """Whether the user had all its turns; ends the conversation if so."""
        if not self.ended and len(self.lines) >= self.scene.max_turns:
            self.ended = MAX_TURNS
        return bool(self.ended)

    def say(self, line: Line) -> None:
        """The user speaks."""
        self.ended = line.ends
        if line.text:
            self._keep({"role": "user", "content": self.cut(line.text)})
        alike = self.lines[-MOST_ALIKE:]
        if not self.ended and len(alike) == MOST_ALIKE and len(set(alike)) == 1:
            self.ended = REPEATED_USER

    def answer(self, text: str, tool_calls: Sequence[Mapping[str, Any]] = ()) -> None:
        """The agent speaks, or calls tools ({id, name, arguments}); an answer that is neither is an error of its."""
        message: dict[str, Any] = {"role": "assistant", "content": self.cut(text)}
        if tool_calls:
            message["tool_calls"] = [dict(call) for call in tool_calls]
        self._keep(message)
        if not text.strip() and not tool_calls:
            self.agent_erred()

    def tool(self, tool_call_id: str, content: str) -> None:
        """A tool answers."""
        self._keep({"role": "tool", "content": self.cut(content), "tool_call_id": tool_call_id})

    def _keep(self, message: dict[str, Any]) -> None:
        """Adds a message. The one that finds no room is kept as far as there is some, and is the last."""
        if TOO_LONG in self.warnings:
            return
        room = MAX_TRANSCRIPT - self._length
        if _length(message) > room:
            self.warnings[TOO_LONG] = None
            self.ended = MAX_LENGTH
            message = _fitted(message, room - FRAME)
        self.transcript.append(message)
        self._length += _length(message)

    def agent_erred(self) -> None:
        """Counts an error of the agent's; too many end the conversation."""
        self.agent_errors += 1
        if self.agent_errors >= MOST_AGENT_ERRORS:
            self.ended = self.ended or AGENT_ERRORS

    def cut(self, text: str) -> str:
        """A text of bearable length."""
        if len(text) <= MAX_TEXT:
            return text
        self.warnings[CUT] = None
        return text[:MAX_TEXT]

    def as_the_user_sees_it(self) -> list[dict[str, str]]:
        """The conversation for the model that plays the user: it is the assistant there, and hears no tools."""
        seen: list[dict[str, str]] = []
        for message in self.transcript:
            role = {"user": "assistant", "assistant": "user"}.get(message["role"])
            if role is None or not message["content"]:
                continue
            if seen and seen[-1]["role"] == role:
                seen[-1]["content"] += f"\n{message['content']}"
            else:
                seen.append({"role": role, "content": message["content"]})
        if not seen or seen[0]["role"] == "assistant":
            seen.insert(0, {"role": "user", "content": OPENING})
        if seen[-1]["role"] == "assistant":
            seen.append({"role": "user", "content": SILENCE})
        return seen


def _fitted(message: Mapping[str, Any], room: int) -> dict[str, Any]:
    """As much of a message as so many characters hold, each call of a tool whole or not at all."""
    fitted = {name: value[: max(0, room)] if name == "tool_call_id" else value for name, value in message.items() if name != "tool_calls"}
    fitted["content"] = message["content"][: max(0, room - len(fitted.get("tool_call_id", "")))]
    calls: list[Mapping[str, Any]] = []
    for call in message.get("tool_calls", ()):
        if _length({**fitted, "tool_calls": [*calls, call]}) - FRAME > room:
            break
        calls.append(call)
    return {**fitted, "tool_calls": calls} if calls else fitted


def _length(message: Mapping[str, Any]) -> int:
    """Characters that a message counts."""
    calls = sum(FRAME + len(call["id"]) + len(call["name"]) + len(spelled(call["arguments"])) for call in message.get("tool_calls", ()))
    return FRAME + len(message["content"]) + len(message.get("tool_call_id", "")) + calls


def spelled(arguments: Any) -> str:
    """A call's arguments as the text that endpoints spell them in."""
    return arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
