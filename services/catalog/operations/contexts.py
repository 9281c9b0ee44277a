"""Making, changing and removing contexts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.catalog.entities.contexts import Context, Prompt
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.store import connections, contexts as store
from shared.errors import InUse
from shared.ids import new_id
from shared.postgres import Connection as Sql, Database


@dataclass(frozen=True)
class Contexts:
    """What can be done with contexts."""

    database: Database
    now: Clock

    async def create(self, workspace: UUID, said: Prompt, creation: Creation[Context, Answer]) -> Answer:
        """Adds a context. Raises Invalid naming each wrong field, NotFound for the connection."""
        now = self.now()
        made = Context(new_id(), workspace, said.checked(), now, now)

        async def make(sql: Sql) -> Context:
            await self._check_model(sql, made)
            await store.insert(sql, made)
            return made

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, context_id: UUID, changes: Mapping[str, Any]) -> Context:
        """Changes what is given. Raises NotFound for the context or its new connection, Invalid naming each wrong field."""
        async with self.database.transaction() as sql:
            changed = (await store.lock(sql, workspace, context_id)).changed(changes, self.now())
            await self._check_model(sql, changed)
            await store.update(sql, changed)
        return changed

    async def delete(self, workspace: UUID, context_id: UUID) -> None:
        """Removes a context. Raises NotFound, or InUse."""
        async with self.database.transaction() as sql:
            await store.lock(sql, workspace, context_id)
            sets = await store.sets_of(sql, workspace, context_id)
            if sets:
                raise InUse(f"the context is used by {sets} {'test set' if sets == 1 else 'test sets'}")
            await store.delete(sql, workspace, context_id)

    async def _check_model(self, sql: Sql, context: Context) -> None:
        connection = await connections.hold(sql, context.workspace_id, context.prompt.connection_id)
        context.prompt.model_on(connection)
