"""Conversations: the simulated user talks to the run's target, turn by turn, until one of them ends it.

A conversation is one case: its effect takes place once, and after a lost lease it begins anew.
"""

import hashlib
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from services.runner.calls import Caller, Tally, kept, shown
from services.runner.dialogue import AGENT_ENDED, FAULT, MAX_DURATION, Dialogue, Line, Scene, read_line, spelled
from services.runner.entities import ClaimedCase, Executed, Run, Target
from services.runner.storable import storable, without_keys
from services.runner.targets import Call, Failed, Refused, Reply
from services.runner.toolbox import ENDING, Toolbox

MAX_TOOL_ROUNDS = 8

log = logging.getLogger(__name__)


@dataclass
class Talk:
    """A conversation that is going on, and what it has cost."""

    run: Run
    case_id: UUID
    repeat: int
    dialogue: Dialogue
    milliseconds: int = 0
    attempts: int = 0
    spent: float = 0.0
    """Seconds that calls took, of both sides: waiting for a slot is no part of the conversation."""
    usage: dict[str, int] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)

    @property
    def left(self) -> float | None:
        """Seconds that it may still take; None without a limit."""
        limit = self.dialogue.scene.max_duration_seconds
        return max(0.001, limit - self.spent) if limit else None

    @property
    def played(self) -> bool:
        """Whether a model plays the user; else the script is read out."""
        return self.run.simulator is not None and bool(self.dialogue.scene.instructions)

    def key(self, part: str, messages: Sequence[Mapping[str, Any]]) -> str:
        """Idempotency-Key of one call: a repeated conversation has it again only where it says the same."""
        digest = hashlib.sha256(orjson.dumps([part, list(messages)])).hexdigest()[:16]
        return f"{self.run.id}:{self.case_id}:{self.repeat}:{digest}"

    def record(self) -> dict[str, Any]:
        """What is known of it beside the output."""
        known: dict[str, Any] = {"transcript": self.dialogue.transcript, "termination_reason": self.dialogue.ended}
        return {**known, "usage": self.usage} if self.usage else known


class Simulation:
    """Holds conversations."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def hold(self, run: Run, case: ClaimedCase) -> Executed:
        """The conversation of a case; never raises for what either side does: an error has its place in the results."""
        talk = Talk(run, case.case_id, case.repeat, Dialogue(Scene.of(case.plan)))
        error = await _fault_of(talk, self._until_ended(talk, Toolbox(tools_of(run.target, case))))
        dialogue = talk.dialogue
        if error is None and dialogue.output is None:
            error = f"the agent never answered ({dialogue.ended})"
        output = None if error else dialogue.output
        return Executed(case, output, error, talk.milliseconds, talk.attempts, tuple(dialogue.warnings), talk.record())

    def can_speak(self, talk: Talk) -> bool:
        """Whether the model that plays the user may be asked from this process, if it plays at all."""
        simulator = talk.run.simulator
        return simulator is None or not talk.played or self._caller.may_call(simulator)

    async def reply(self, talk: Talk) -> str | None:
        """The user speaks once more. Returns why it couldn't, which ends the conversation; None if it could."""
        return await _fault_of(talk, self._speak_once(talk))

    async def _speak_once(self, talk: Talk) -> None:
        talk.dialogue.say(await self._speak(talk))

    async def _until_ended(self, talk: Talk, toolbox: Toolbox) -> None:
        while not talk.dialogue.ended:
            await self._speak_once(talk)
            if not talk.dialogue.ended:
                await self._answer(talk, toolbox)

    async def _speak(self, talk: Talk) -> Line:
        """What the simulated user says next. Raises Refused, Failed, or TimeoutError once the conversation took too long."""
        dialogue, simulator, played = talk.dialogue, talk.run.simulator, talk.played
        if not played and not dialogue.scene.script:
            raise Refused("no model plays the user, and there is no script to read out")
        if not played and (line := dialogue.scripted()).ends and not line.text:
            return line  # a script that is over is no conversation cut short
        if dialogue.exhausted():
            return Line("", dialogue.ended)
        if played and simulator is not None:
            return await self._play(talk, simulator)
        return dialogue.scripted()

    async def _play(self, talk: Talk, simulator: Target) -> Line:
        seen = talk.dialogue.as_the_user_sees_it()
        messages = [{"role": "system", "content": talk.dialogue.scene.prompt()}, *seen]
        reply = await self._ask(talk, simulator, messages, ())
        return read_line(reply.text)

    async def _answer(self, talk: Talk, toolbox: Toolbox) -> None:
        """The agent's turn: until it says something without calling tools."""
        dialogue, target = talk.dialogue, talk.run.target
        for _ in range(MAX_TOOL_ROUNDS):
            reply = await self._ask(talk, target, _spelled(target.statement, dialogue.transcript), toolbox.definitions)
            calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in reply.tool_calls]
            dialogue.answer(reply.text, storable(calls, talk.secrets))
            self._use(dialogue, toolbox)
            if dialogue.ended or not calls:
                return
        dialogue.agent_erred()

    @staticmethod
    def _use(dialogue: Dialogue, toolbox: Toolbox) -> None:
        """The simulated world answers the calls of the agent's last message."""
        for call in dialogue.transcript[-1].get("tool_calls", ()):
            if call["name"] in ENDING:
                dialogue.ended = AGENT_ENDED
                continue
            content, possible = toolbox.answer(call["name"], call["arguments"])
            dialogue.tool(call["id"], content)
            if not possible:
                dialogue.agent_erred()

    async def _ask(self, talk: Talk, target: Target, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> Reply:
        """A reply fit for storage, its cost added up."""
        access = await self._caller.access(talk.run.workspace_id, target)
        if access.api_key and access.api_key not in talk.secrets:
            talk.secrets.append(access.api_key)
        question = next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")
        call = Call(
            question=question,
            history=(),
            statement=target.statement,
            model=target.model,
            parameters={name: value for name, value in target.parameters.items() if name != "tools"},
            base_url=target.base_url,
            api_key=access.api_key,
            timeout=target.timeout_ms / 1000,
            key=talk.key("agent" if target is talk.run.target else "user", messages),
            messages=messages,
            tools=tools,
        )
        tally = Tally()
        try:
            reply = await self._caller.ask(talk.run, target, call, tally, talk.left)
        finally:
            self._add(talk, target, tally)
        if target is talk.run.target:
            for name, tokens in (reply.usage or {}).items():
                talk.usage[name] = talk.usage.get(name, 0) + tokens
        text, warnings = kept(reply, access.api_key)
        talk.dialogue.warnings.update(dict.fromkeys(warnings))
        return Reply(text, warnings, reply.tool_calls, reply.usage)

    @staticmethod
    def _add(talk: Talk, target: Target, tally: Tally) -> None:
        talk.spent += tally.seconds
        if target is talk.run.target:
            talk.attempts += tally.attempts
            talk.milliseconds += tally.milliseconds or 0


async def _fault_of(talk: Talk, work: Awaitable[None]) -> str | None:
    """Why a part of a conversation couldn't take place, which ends it; None if it could."""
    try:
        await work
    except TimeoutError:
        talk.dialogue.ended = MAX_DURATION
    except (Refused, Failed) as fault:
        talk.dialogue.ended = FAULT
        return without_keys(shown(str(fault), ""), talk.secrets)
    except Exception as fault:
        # One conversation's oddity has its place in the results; raised, it would send the whole ticket round for ever.
        log.exception("a conversation failed in a way that is not foreseen", extra={"run_id": str(talk.run.id)})
        talk.dialogue.ended = FAULT
        return f"the conversation failed: {type(fault).__name__}"
    return None


def tools_of(target: Target, case: ClaimedCase) -> list[Mapping[str, Any]]:
    """The definitions of the agent's tools."""
    content = (case.plan or {}).get("content") or {}
    found = target.parameters.get("tools") or content.get("tools") or []
    return [tool for tool in found if isinstance(tool, dict)] if isinstance(found, list) else []


def _spelled(statement: str, transcript: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The conversation as OpenAI endpoints take it."""
    system = [{"role": "system", "content": statement}] if statement else []
    return [*system, *map(_message, transcript)]


def _message(said: Mapping[str, Any]) -> dict[str, Any]:
    message = {"role": said["role"], "content": said["content"]}
    if "tool_call_id" in said:
        message["tool_call_id"] = said["tool_call_id"]
    if "tool_calls" in said:
        message["tool_calls"] = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": spelled(call["arguments"])}}
            for call in said["tool_calls"]
        ]
    return message
