"""A workspace, who judges in it, and who plays the simulated user."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Workspace:
    """The wall between tenants."""

    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True)
class Project:
    """A project of a workspace."""

    id: UUID
    workspace_id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True)
class Judge:
    """Which connection judges in a workspace; `model` overrides the connection's. `required`: without it nothing is judged."""

    connection_id: UUID | None = None
    model: str | None = None
    required: bool = False


@dataclass(frozen=True)
class Simulator:
    """Which connection plays the simulated user of conversations; None: scripts are read out. `model` overrides the connection's."""

    connection_id: UUID | None = None
    model: str | None = None
