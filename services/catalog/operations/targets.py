"""What the other services ask for: targets, the cases of a revision, secrets, the judge."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from services.catalog.entities.connections import Connection
from services.catalog.entities.contexts import Context
from services.catalog.entities.test_sets import TestSet
from services.catalog.secrets_box import KeyRing
from services.catalog.store import connections, contexts, test_cases, test_sets, workspaces
from shared.postgres import Database


@dataclass(frozen=True)
class Resolved:
    """A set and the target that it is to run against, as they are now. `model`: None for the endpoint's own."""

    test_set: TestSet
    context: Context
    connection: Connection
    model: str | None


@dataclass(frozen=True)
class Access:
    """A connection with its secret in the clear; "" without one. Never logged, never sent anywhere but to our own services."""

    connection: Connection
    api_key: str


@dataclass(frozen=True)
class Judging:
    """Who judges in a workspace."""

    access: Access | None
    model: str | None
    required: bool


@dataclass(frozen=True)
class Targets:
    """What the other services may know."""

    database: Database
    keys: KeyRing

    async def resolve(self, workspace: UUID, set_id: UUID, context_id: UUID) -> Resolved:
        """What a run freezes. Raises NotFound for the set or the context, Invalid if the connection has no such model."""
        async with self.database.connection() as sql:
            test_set = await test_sets.get(sql, workspace, set_id)
            context = await contexts.get(sql, workspace, context_id)
            connection = await connections.get(sql, workspace, context.prompt.connection_id)
        return Resolved(test_set, context, connection, context.prompt.model_on(connection))

    async def cases(self, workspace: UUID, set_id: UUID, revision: int) -> AsyncIterator[Sequence[asyncpg.Record]]:
        """The cases of a revision in order, in batches. Raises NotFound for the set.

        No transaction spans them: rows of a revision that a run freezes stay for a day, whatever is edited meanwhile.
        """
        await self.check_set(workspace, set_id)
        after: tuple[int, UUID] | None = None
        while True:
            async with self.database.connection() as sql:
                batch = await test_cases.batch_at(sql, workspace, set_id, revision, after)
            if not batch:
                return
            yield batch
            after = batch[-1]["position"], batch[-1]["id"]

    async def check_set(self, workspace: UUID, set_id: UUID) -> None:
        """Raises NotFound if the workspace has no such set."""
        async with self.database.connection() as sql:
            await test_sets.get(sql, workspace, set_id)

    async def access(self, workspace: UUID, connection_id: UUID) -> Access:
        """A connection and its secret. Raises NotFound."""
        async with self.database.connection() as sql:
            return self._access(await connections.get(sql, workspace, connection_id))

    async def judge(self, workspace: UUID) -> Judging:
        """Who judges in this workspace, and by which secret."""
        async with self.database.connection() as sql:
            judge = await workspaces.judge(sql, workspace)
            if judge.connection_id is None:
                return Judging(None, judge.model, judge.required)
            access = self._access(await connections.get(sql, workspace, judge.connection_id))
        return Judging(access, judge.model or access.connection.settings.model, judge.required)

    def _access(self, connection: Connection) -> Access:
        secret = connection.secret
        return Access(connection, self.keys.open(secret, connection.workspace_id, connection.id) if secret else "")
