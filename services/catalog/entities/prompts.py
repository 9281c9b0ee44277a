"""A prompt and its applications."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.faults import Faults

MAX_TITLE = 255


def title_faults(title: str | None) -> Faults:
    """A title: 1-255 characters; None passes."""
    return faults.length("title", title, MAX_TITLE, least=1)


@dataclass(frozen=True)
class Heading:
    """What a caller says about a prompt."""

    title: str
    project_id: UUID | None = None

    def checked(self) -> "Heading":
        """These values. Raises Invalid naming each wrong field."""
        faults.refuse(title_faults(self.title))
        return self


@dataclass(frozen=True)
class Prompt:
    """A prompt of a workspace."""

    id: UUID
    workspace_id: UUID
    heading: Heading
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "Prompt":
        """With these values changed. Raises Invalid if one is wrong."""
        return replace(self, heading=replace(self.heading, **changes).checked(), updated_at=now)


@dataclass(frozen=True)
class Use:
    """What a caller says about an application: which version of which prompt it uses."""

    title: str
    prompt_id: UUID
    version_id: UUID

    def checked(self) -> "Use":
        """These values. Raises Invalid naming each wrong field."""
        faults.refuse(title_faults(self.title))
        return self


@dataclass(frozen=True)
class Application:
    """An application of a workspace."""

    id: UUID
    workspace_id: UUID
    use: Use
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "Application":
        """With these values changed. Raises Invalid if one is wrong."""
        return replace(self, use=replace(self.use, **changes).checked(), updated_at=now)
