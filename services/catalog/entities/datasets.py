"""A dataset: the cases of a project that a test run hands to the client. It is a test set of another kind."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.faults import MAX_NAME, Faults

PROMPT = "prompt_dataset"
AGENT = "agent_dataset"
KINDS = (PROMPT, AGENT)
MAX_INPUT_NAMES = 1000


@dataclass(frozen=True)
class DatasetOutline:
    """What a caller says about a dataset."""

    name: str
    description: str = ""
    input_names: tuple[str, ...] = ()
    media_input_names: tuple[str, ...] = ()
    support_history: bool = False

    def checked(self) -> "DatasetOutline":
        """These values. Raises Invalid naming each wrong field."""
        faults.refuse(
            {
                **faults.name(self.name),
                **_names("input_names", self.input_names),
                **_names("media_input_names", self.media_input_names),
            }
        )
        return self


@dataclass(frozen=True)
class DatasetRef:
    """Names a dataset of a project, by its id or by its name."""

    project_id: UUID
    id: UUID | None = None
    name: str | None = None
    kinds: tuple[str, ...] = KINDS


@dataclass(frozen=True)
class Dataset:
    """A dataset of a project. `revision` grows with every change of its cases."""

    id: UUID
    workspace_id: UUID
    project_id: UUID
    kind: str
    outline: DatasetOutline
    revision: int
    case_count: int
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "Dataset":
        """With these values changed. Raises Invalid if one is wrong."""
        return replace(self, outline=replace(self.outline, **changes).checked(), updated_at=now)


def _names(field: str, names: tuple[str, ...]) -> Faults:
    if len(names) > MAX_INPUT_NAMES:
        return {field: f"must have at most {MAX_INPUT_NAMES} entries"}
    found: dict[str, str] = {}
    for index, name in enumerate(names):
        found.update(faults.length(f"{field}[{index}]", name, MAX_NAME, least=1))
    return found
