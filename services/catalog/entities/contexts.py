"""A context: a prompt statement and the connection that answers it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.connections import MAX_MODEL, Connection, model_faults


@dataclass(frozen=True)
class Prompt:
    """What a caller says about a context. `parameters` is a JSON object or None."""

    name: str
    connection_id: UUID
    statement: str = ""
    model: str | None = None
    parameters: Mapping[str, Any] | None = None

    def checked(self) -> "Prompt":
        """These values. Raises Invalid naming each wrong field."""
        faults.refuse({**faults.name(self.name), **faults.length("model", self.model, MAX_MODEL)})
        return self

    def model_on(self, connection: Connection) -> str | None:
        """The model that this prompt is answered by. Raises Invalid if the connection has no such model."""
        if self.model is None:
            return connection.settings.model
        faults.refuse(model_faults(connection.settings.kind, self.model))
        return self.model


@dataclass(frozen=True)
class Context:
    """A context of a workspace."""

    id: UUID
    workspace_id: UUID
    prompt: Prompt
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "Context":
        """With these values changed. Raises Invalid if one is wrong."""
        return replace(self, prompt=replace(self.prompt, **changes).checked(), updated_at=now)
