"""A scenario: what makes the conversations of a run test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.catalog.entities import faults
from services.catalog.entities.faults import Faults

SCRIPT, PERSONA, DATASET = "script", "persona", "dataset"
KINDS = (SCRIPT, PERSONA, DATASET)
MAX_DESCRIPTION = 5000
MAX_LINES = 200
MAX_LINE = 10_000
MAX_GOAL = 5000
MAX_TURNS = 50  # where the clients of chat mode stop of themselves
OPENINGS = ("opening", "initial_message", "first_message")


@dataclass(frozen=True)
class Outline:
    """What a caller says about a scenario. `persona`: any JSON object."""

    name: str
    kind: str
    description: str | None = None
    script: Sequence[str] = ()
    persona: Mapping[str, Any] | None = None
    goal: str | None = None
    dataset_id: UUID | None = None
    max_turns: int = 10

    def checked(self) -> "Outline":
        """These values. Raises Invalid naming each wrong field."""
        faults.refuse(self.faults())
        return self

    def faults(self) -> Faults:
        """What is wrong, by field."""
        return {
            **faults.name(self.name),
            **faults.length("description", self.description, MAX_DESCRIPTION),
            **faults.one_of("kind", self.kind, KINDS),
            **_script_faults(self.script),
            **faults.length("goal", self.goal, MAX_GOAL),
            **faults.within("maxTurns", self.max_turns, 1, MAX_TURNS),
            **self._missing(),
        }

    def _missing(self) -> Faults:
        if self.kind == SCRIPT and not self.script:
            return {"script": "is required"}
        if self.kind == PERSONA and not self.persona and not self.goal:
            return {"persona": "is required, or a goal"}
        if self.kind == DATASET and self.dataset_id is None:
            return {"datasetId": "is required"}
        return {}

    def lines(self) -> list[str]:
        """What the user says where no model plays it; the opening of a persona, else its goal, where it has no script."""
        persona = self.persona or {}
        openings = (persona[key] for key in OPENINGS if isinstance(persona.get(key), str) and persona[key])
        return list(self.script) or [next(openings, None) or self.goal or ", ".join(_traits(persona))]

    def instructions(self) -> str:
        """Who the user is and what it wants, for the model that plays it; "" for a script, which is read out in any case."""
        if self.kind == SCRIPT or not (self.persona or self.goal):
            return ""
        wanted = [f"What you want: {self.goal}"] if self.goal else []
        return "\n".join([*_traits(self.persona or {}), *wanted])


@dataclass(frozen=True)
class Scenario:
    """A scenario of a workspace."""

    id: UUID
    workspace_id: UUID
    outline: Outline
    created_at: datetime
    updated_at: datetime


def kind_of(*, has_dataset: bool, has_persona: bool) -> str:
    """What a scenario is whose kind isn't said."""
    if has_dataset:
        return DATASET
    return PERSONA if has_persona else SCRIPT


def _script_faults(script: Sequence[str]) -> Faults:
    if len(script) > MAX_LINES:
        return {"script": f"must have at most {MAX_LINES} entries"}
    wrong = (faults.length(f"script[{index}]", line, MAX_LINE, least=1) for index, line in enumerate(script))
    return {field: fault for found in wrong for field, fault in found.items()}


def _traits(persona: Mapping[str, Any]) -> list[str]:
    return [f"{key}: {value if isinstance(value, str) else orjson.dumps(value).decode()}" for key, value in persona.items()]
