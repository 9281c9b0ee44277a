"""An agent, which one family calls an assistant and another an agent definition, and its versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.connections import BUILTIN, BUILTIN_MODELS, MAX_MODEL, Connection, model_faults
from services.catalog.entities.faults import Faults

MAX_DESCRIPTION = 5000
MAX_INSTRUCTIONS = 100_000
MAX_TYPE = 64
MAX_LANGUAGE = 64
MAX_TOOLS = 128

Tool = Mapping[str, Any]


@dataclass(frozen=True)
class Outline:
    """What a caller says about an agent beside its versions."""

    name: str
    description: str | None = None
    agent_type: str = "text"

    def checked(self) -> "Outline":
        """These values. Raises Invalid naming each wrong field."""
        faults.refuse(self.faults())
        return self

    def faults(self) -> Faults:
        """What is wrong, by field."""
        return {
            **faults.name(self.name),
            **faults.length("description", self.description, MAX_DESCRIPTION),
            **faults.length("agent_type", self.agent_type, MAX_TYPE, least=1),
        }


@dataclass(frozen=True)
class Definition:
    """What a version is: never changed. `tools` as the caller spells them, see `functions`. `note`: why it was made."""

    connection_id: UUID
    instructions: str = ""
    model: str | None = None
    tools: Sequence[Tool] = ()
    language: str = "en"
    note: str | None = None

    def checked(self) -> "Definition":
        """These values. Raises Invalid naming each wrong field."""
        faults.refuse(self.faults())
        return self

    def faults(self) -> Faults:
        """What is wrong, by field."""
        return {
            **faults.length("instructions", self.instructions, MAX_INSTRUCTIONS),
            **faults.length("model", self.model, MAX_MODEL),
            **faults.length("language", self.language, MAX_LANGUAGE, least=1),
            **faults.length("note", self.note, MAX_DESCRIPTION),
            **_tool_faults(self.tools),
        }

    def check_model(self, connection: Connection) -> None:
        """Raises Invalid if the connection has no such model."""
        if self.model is not None:
            faults.refuse(model_faults(connection.settings.kind, self.model))

    def model_on(self, connection: Connection) -> str | None:
        """The model that answers; None for the endpoint's own.

        An agent that fell back on a builtin connection may name any provider's model: no builtin bears it, so its own answers.
        """
        foreign = connection.settings.kind == BUILTIN and self.model not in BUILTIN_MODELS
        return connection.settings.model if self.model is None or foreign else self.model

    def functions(self) -> list[dict[str, Any]]:
        """The tools as chat endpoints take them."""
        return [_function(tool) for tool in self.tools]


@dataclass(frozen=True)
class Version:
    """A version of an agent. `number` is dense per agent, from 1."""

    id: UUID
    workspace_id: UUID
    agent_id: UUID
    number: int
    definition: Definition
    is_main: bool
    created_at: datetime


@dataclass(frozen=True)
class Agent:
    """An agent of a workspace, with the version that is used where none is named."""

    id: UUID
    workspace_id: UUID
    outline: Outline
    main: Version
    version_count: int
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "Agent":
        """With another outline. Raises Invalid if a value is wrong."""
        return replace(self, outline=replace(self.outline, **changes).checked(), updated_at=now)

    def next_version(self, version_id: UUID, definition: Definition, now: datetime, *, main: bool) -> Version:
        """The version that comes next."""
        return Version(version_id, self.workspace_id, self.id, self.version_count + 1, definition, main, now)

    def with_version(self, version: Version) -> "Agent":
        """With a version more, or another main one."""
        main = version if version.is_main else self.main
        return replace(self, main=main, version_count=max(self.version_count, version.number))


def _tool_faults(tools: Sequence[Tool]) -> Faults:
    if len(tools) > MAX_TOOLS:
        return {"tools": f"must have at most {MAX_TOOLS} entries"}
    return {
        f"tools[{index}]": "must be an object with a type or a name"
        for index, tool in enumerate(tools)
        if not isinstance(tool, Mapping) or not _tool_name(tool)
    }


def _inner(tool: Tool) -> Tool:
    """Where a tool keeps its name: {"type": "webhook", "webhook": {"name" …}}, or in itself."""
    inner = tool.get(str(tool.get("type", "")))
    return inner if isinstance(inner, Mapping) else tool


def _tool_name(tool: Tool) -> str:
    name = _inner(tool).get("name") or tool.get("type")
    return name if isinstance(name, str) else ""


def _function(tool: Tool) -> dict[str, Any]:
    # Endpoints know functions alone: what a hook or a hang-up would do, the model asks for by its name all the same.
    inner = _inner(tool)
    if inner is not tool and tool.get("type") == "function":
        return {"type": "function", "function": dict(inner)}
    parameters = inner.get("parameters") or inner.get("body_parameters") or {"type": "object", "properties": {}}
    described = {"description": inner["description"]} if inner.get("description") else {}
    return {"type": "function", "function": {"name": _tool_name(tool), **described, "parameters": parameters}}
