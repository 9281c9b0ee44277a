"""A version of a prompt: messages with variables, and the model that they are sent to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.connections import BUILTIN, BUILTIN_MODELS, Connection, model_faults
from services.catalog.entities.prompt_messages import Json, filled, variables_of
from services.catalog.entities.prompts import title_faults

NAMED = ("connectionId", "model")


@dataclass(frozen=True)
class Wording:
    """What a caller says about a version. `variables`: None for those that the messages name; `configuration` as the API spells it."""

    title: str
    messages: Sequence[Json] = ()
    variables: Sequence[Json] | None = None
    configuration: Json = field(default_factory=dict)
    promoted: bool = False
    draft: bool = False

    def checked(self) -> "Wording":
        """These values. Raises Invalid naming each wrong field."""
        faults.refuse(title_faults(self.title))
        return self

    @property
    def all_variables(self) -> Sequence[Json]:
        """[{name, required}]."""
        return variables_of(self.messages) if self.variables is None else self.variables

    @property
    def connection_id(self) -> UUID | None:
        """The connection that answers; None for the workspace's default."""
        named = self.configuration.get("connectionId")
        return UUID(named) if named else None

    @property
    def parameters(self) -> Json:
        """What is sent with every call."""
        return {name: value for name, value in self.configuration.items() if name not in NAMED}

    def model_on(self, connection: Connection) -> str | None:
        """The model that answers; None for the endpoint's own. Raises Invalid if the connection that is named has no such model.

        A version that fell back on a builtin connection may name any provider's model: no builtin bears it, so its own answers.
        """
        model: str | None = self.configuration.get("model")
        fell_back = self.connection_id is None and connection.settings.kind == BUILTIN and model not in BUILTIN_MODELS
        if not model or fell_back:
            return connection.settings.model
        wrong = model_faults(connection.settings.kind, model)
        faults.refuse({f"configuration.{name}": fault for name, fault in wrong.items()})
        return model

    def filled(self, values: Json) -> list[Json]:
        """The messages with these values in place of the variables. Raises Invalid naming each one that is missing."""
        return filled(self.messages, self.all_variables, values)


@dataclass(frozen=True)
class PromptVersion:
    """A version of a prompt of a workspace."""

    id: UUID
    workspace_id: UUID
    prompt_id: UUID
    wording: Wording
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "PromptVersion":
        """With these values changed. Raises Invalid if one is wrong."""
        return replace(self, wording=replace(self.wording, **changes).checked(), updated_at=now)
