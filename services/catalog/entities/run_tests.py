"""A run test: which scenarios are executed against which version of an agent, and how that is judged."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.evaluators import Rule
from services.catalog.entities.faults import Faults

MAX_DESCRIPTION = 5000
MAX_SCENARIOS = 1000
MAX_EVALUATIONS = 100
MAX_ROWS = 10_000
PENDING = "pending"
STATUSES = (PENDING, "running", "evaluating", "completed", "failed", "cancelled")


@dataclass(frozen=True)
class Wish:
    """What a caller says about a run test; None: nothing. `rules`: evaluators to be made; `faults`: what can't even be read."""

    name: str | None = None
    description: str | None = None
    agent_id: UUID | None = None
    version_id: UUID | None = None
    scenario_ids: tuple[UUID, ...] | None = None
    evaluator_ids: tuple[UUID, ...] | None = None
    rules: tuple[Rule, ...] = ()
    row_ids: tuple[UUID, ...] | None = None
    tool_evaluation: bool | None = None
    faults: Faults = field(default_factory=dict)

    def all_faults(self) -> Faults:
        """What is wrong with it by itself, by field."""
        evaluations = len(self.rules) + len(self.evaluator_ids or ())
        return {
            **(faults.name(self.name) if self.name is not None else {}),
            **faults.length("description", self.description, MAX_DESCRIPTION),
            **_at_most("scenarioIds", self.scenario_ids, MAX_SCENARIOS),
            **({"scenarioIds": "must not be empty"} if self.scenario_ids == () else {}),
            **_at_most("datasetRowIds", self.row_ids, MAX_ROWS),
            **({"evaluationsConfig": _too_many()} if evaluations > MAX_EVALUATIONS else {}),
            **self.faults,
        }


@dataclass(frozen=True)
class RunTest:
    """A run test of a workspace. `row_ids` empty: every row of the scenarios' datasets."""

    id: UUID
    workspace_id: UUID
    name: str
    description: str
    agent_id: UUID
    version_id: UUID
    scenario_ids: tuple[UUID, ...]
    evaluator_ids: tuple[UUID, ...]
    row_ids: tuple[UUID, ...]
    tool_evaluation: bool
    created_at: datetime
    updated_at: datetime

    def changed(self, wish: Wish, version_id: UUID, now: datetime) -> "RunTest":
        """As wished, on this version; evaluators that are made along come by `judged_by`."""
        said: dict[str, Any] = {
            "name": wish.name,
            "description": wish.description,
            "agent_id": wish.agent_id,
            "scenario_ids": wish.scenario_ids,
            "evaluator_ids": wish.evaluator_ids,
            "row_ids": wish.row_ids,
            "tool_evaluation": wish.tool_evaluation,
        }
        given = {name: value for name, value in said.items() if value is not None}
        return replace(self, version_id=version_id, updated_at=now, **given)

    def judged_by(self, more: Sequence[UUID], now: datetime) -> "RunTest":
        """With more evaluators. Raises Invalid if there are too many."""
        evaluators = (*self.evaluator_ids, *more)
        if len(evaluators) > MAX_EVALUATIONS:
            faults.refuse({"evaluationsConfig": _too_many()})
        return replace(self, evaluator_ids=evaluators, updated_at=now)


def unknown(known: Sequence[UUID], asked: Sequence[UUID]) -> str:
    """Those that aren't known, all of them, for people; "" if there are none."""
    found = set(known)
    missing = [str(one) for one in asked if one not in found]
    return f"unknown: {', '.join(missing)}" if missing else ""


def _at_most(name: str, values: Sequence[UUID] | None, most: int) -> Faults:
    return {name: f"must have at most {most} entries"} if values is not None and len(values) > most else {}


def _too_many() -> str:
    return f"a run test has at most {MAX_EVALUATIONS} evaluations"
