"""A test of an assistant: what the simulated user does, and the rubric that the conversation is judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.faults import Faults
from services.catalog.entities.schedules import schedule_faults

CHANNELS = ("phone_call", "web_call", "sms_chat", "web_chat")
MAX_INSTRUCTIONS = 5000
MAX_CRITERIA = 5000
MAX_RUBRIC = 100
MAX_DESCRIPTION = 1000
MAX_SUITE = 100
MAX_SECONDS = 3600


@dataclass(frozen=True)
class Criterion:
    """One thing that is judged; its name is unique in the rubric, since its verdict bears it."""

    name: str
    criteria: str


@dataclass(frozen=True)
class Plan:
    """What a caller says about a test."""

    name: str
    agent_id: UUID
    instructions: str
    rubric: Sequence[Criterion]
    description: str | None = None
    channel: str = "web_chat"
    max_duration_seconds: int | None = None
    suite: str | None = None
    schedule: str | None = None

    def checked(self) -> "Plan":
        """This plan. Raises Invalid naming each wrong field."""
        faults.refuse(self.faults())
        return self

    def faults(self) -> Faults:
        """What is wrong, by the field's public name."""
        return {
            **faults.name(self.name),
            **_instruction_faults(self.instructions),
            **_rubric_faults(self.rubric),
            **faults.length("description", self.description, MAX_DESCRIPTION),
            **faults.one_of("telnyx_conversation_channel", self.channel, CHANNELS),
            **faults.within("max_duration_seconds", self.max_duration_seconds, 1, MAX_SECONDS),
            **faults.length("test_suite", self.suite, MAX_SUITE),
            **schedule_faults(self.schedule),
        }

    def script(self) -> list[str]:
        """What the user says where no model plays it: one turn a line."""
        return [line for line in self.instructions.splitlines() if line.strip()]


@dataclass(frozen=True)
class AssistantTest:
    """A test of a workspace. `schedule_revision` grows with every change of its schedule."""

    id: UUID
    workspace_id: UUID
    plan: Plan
    schedule_revision: int
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "AssistantTest":
        """With these values changed. Raises Invalid if one is wrong."""
        plan = replace(self.plan, **changes).checked()
        revision = self.schedule_revision + (plan.schedule != self.plan.schedule)
        return replace(self, plan=plan, schedule_revision=revision, updated_at=now)


@dataclass(frozen=True)
class Suite:
    """A suite's schedule. `schedule_revision` grows with every change of it."""

    workspace_id: UUID
    name: str
    schedule: str | None = None
    schedule_revision: int = 0

    def scheduled(self, schedule: str | None) -> "Suite":
        """With another schedule. Raises Invalid for a wrong one."""
        faults.refuse(schedule_faults(schedule))
        changed = schedule != self.schedule
        return replace(self, schedule=schedule, schedule_revision=self.schedule_revision + changed)


@dataclass(frozen=True)
class TestFilter:
    """Which tests are listed; None: all."""

    suite: str | None = None
    channel: str | None = None
    agent_id: UUID | None = None

    def checked(self) -> "TestFilter":
        """This filter. Raises Invalid for an unknown channel."""
        if self.channel is not None:
            faults.refuse(faults.one_of("telnyx_conversation_channel", self.channel, CHANNELS))
        return self


def _instruction_faults(instructions: str) -> Faults:
    if not instructions.strip():
        return {"instructions": "must not be empty"}
    return faults.length("instructions", instructions, MAX_INSTRUCTIONS)


def _rubric_faults(rubric: Sequence[Criterion]) -> Faults:
    if not 1 <= len(rubric) <= MAX_RUBRIC:
        return {"rubric": f"must have from 1 to {MAX_RUBRIC} criteria"}
    found: dict[str, str] = {}
    names: set[str] = set()
    for index, criterion in enumerate(rubric):
        place = f"rubric[{index}]"
        found.update(faults.length(f"{place}.name", criterion.name, faults.MAX_NAME, least=1))
        found.update(faults.length(f"{place}.criteria", criterion.criteria, MAX_CRITERIA, least=1))
        if criterion.name in names:
            found[f"{place}.name"] = "is the name of an earlier criterion"
        names.add(criterion.name)
    return found
