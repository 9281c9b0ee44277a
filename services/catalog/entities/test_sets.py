"""A test set: the cases that are run together against a context."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults

MODES = ("scenario", "independent")
MAX_LANGUAGE = 64


@dataclass(frozen=True)
class Outline:
    """What a caller says about a test set."""

    name: str
    context_id: UUID
    description: str | None = None
    mode: str = "scenario"
    language: str = "en"

    def checked(self) -> "Outline":
        """These values. Raises Invalid naming each wrong field."""
        faults.refuse(
            {
                **faults.name(self.name),
                **faults.one_of("mode", self.mode, MODES),
                **faults.length("language", self.language, MAX_LANGUAGE, least=1),
            }
        )
        return self


@dataclass(frozen=True)
class TestSet:
    """A test set of a workspace. `revision` grows with every change of its cases; `last_run_*` are of its newest completed run."""

    id: UUID
    workspace_id: UUID
    outline: Outline
    revision: int
    test_case_count: int
    last_run_at: datetime | None
    last_run_pass_rate: float | None
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "TestSet":
        """With these values changed. Raises Invalid if one is wrong."""
        return replace(self, outline=replace(self.outline, **changes).checked(), updated_at=now)
