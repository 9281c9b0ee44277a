"""An evaluator: a template of scoring's registry, what is filled into it, and when it passes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.connections import MAX_MODEL
from services.catalog.entities.faults import MAX_NAME, Faults

MAX_TAGS = 50


@dataclass(frozen=True)
class Rule:
    """What a caller says about an evaluator. `template`: a name or an id of the registry. `passing_score` None: the template's own."""

    name: str
    template: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    passing_score: float | None = None
    is_enabled: bool = True
    error_localizer: bool = False
    model: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    type: str | None = None
    eval_group: str | None = None
    reason_column: str | None = None

    def faults(self) -> Faults:
        """What is wrong with it by itself, by field; whether the template takes it, the registry tells."""
        return {
            **faults.name(self.name),
            **faults.length("template", self.template, MAX_NAME, least=1),
            **faults.within("passing_score", self.passing_score, 0, 1),
            **faults.length("model", self.model, MAX_MODEL),
            **faults.length("eval_group", self.eval_group, MAX_NAME),
            **faults.length("reason_column", self.reason_column, MAX_NAME),
            **({"tags": f"must have at most {MAX_TAGS} entries"} if len(self.tags) > MAX_TAGS else {}),
        }


@dataclass(frozen=True)
class Evaluator:
    """An evaluator of a workspace; `project_id` is None for those that belong to no project."""

    id: UUID
    workspace_id: UUID
    project_id: UUID | None
    rule: Rule
    created_at: datetime
    updated_at: datetime

    def changed(self, rule: Rule, now: datetime) -> "Evaluator":
        """With this rule."""
        return replace(self, rule=rule, updated_at=now)
