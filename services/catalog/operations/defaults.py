"""What a workspace falls back on: its default connection, and who plays the simulated user."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.connections import BUILTIN, BUILTIN_MODELS, MAX_MODEL, Connection, Settings
from services.catalog.entities.workspaces import Simulator
from services.catalog.operations.creation import Clock
from services.catalog.store import connections, workspace_settings as store
from shared.errors import Invalid
from shared.ids import new_id
from shared.postgres import Connection as Sql, Database

SIMULATING_KIND = "openai"
ECHO = Settings(name="default", kind=BUILTIN, model=BUILTIN_MODELS[0])


@dataclass(frozen=True)
class Defaults:
    """What the command line can do about them."""

    database: Database
    now: Clock

    async def set_connection(self, workspace: UUID, connection_id: UUID) -> None:
        """Says which connection is used where none is named. Raises NotFound."""
        async with self.database.transaction() as sql:
            await connections.hold(sql, workspace, connection_id)
            await store.set_default(sql, workspace, connection_id)

    async def set_simulator(self, workspace: UUID, simulator: Simulator) -> None:
        """Says who plays the simulated user. Raises NotFound, or Invalid for a connection that can't."""
        faults.refuse(faults.length("model", simulator.model, MAX_MODEL, least=1))
        async with self.database.transaction() as sql:
            if simulator.connection_id is not None:
                connection = await connections.hold(sql, workspace, simulator.connection_id)
                if connection.settings.kind != SIMULATING_KIND:
                    raise Invalid({"connection": f"must be of the kind {SIMULATING_KIND}"})
            await store.set_simulator(sql, workspace, simulator)


async def default_connection(sql: Sql, workspace: UUID, now: datetime) -> Connection:
    """The connection for what names none, kept until the transaction ends; where none was ever set, an echo is made."""
    known = await store.default_connection(sql, workspace) or await store.lock_default(sql, workspace)
    if known is not None:
        return await connections.hold(sql, workspace, known)
    made = Connection(new_id(), workspace, ECHO.checked(), None, 1, now, now)
    await connections.insert(sql, made)
    await store.set_default(sql, workspace, made.id)
    return made
