"""Workspaces and their credentials: who is calling, and what the command line makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.catalog.entities.credentials import PAIR, TOKEN, Credential, new_pair, new_token, pair_hash, token_hash
from services.catalog.entities.workspaces import Judge, Project, Workspace
from services.catalog.operations.creation import Clock
from services.catalog.store import connections, credentials as store, workspaces
from shared import identity
from shared.errors import Invalid
from shared.identity import Principal
from shared.ids import new_id
from shared.postgres import Connection as Sql, Database

JUDGING_KIND = "openai"


@dataclass(frozen=True)
class Credentials:
    """What can be done with workspaces and credentials."""

    database: Database
    now: Clock

    async def authenticate(self, sent: identity.Credential) -> Principal | None:
        """Whose credential this is; None if it is unknown or revoked."""
        digest = token_hash(sent.token) if sent.token else pair_hash(sent.api_key, sent.secret_key)
        async with self.database.connection() as sql:
            found = await store.by_hash(sql, digest)
        return Principal(found.workspace_id, frozenset(found.scopes), str(found.id)) if found else None

    async def new_workspace(self, name: str) -> Workspace:
        """Adds a workspace."""
        made = Workspace(new_id(), name, self.now())
        async with self.database.transaction() as sql:
            await workspaces.insert(sql, made)
        return made

    async def new_project(self, workspace: UUID, name: str) -> Project:
        """Adds a project. Raises NotFound for the workspace."""
        made = Project(new_id(), workspace, name, self.now())
        async with self.database.transaction() as sql:
            await workspaces.require(sql, workspace)
            await workspaces.insert_project(sql, made)
        return made

    async def new_token(self, workspace: UUID, scopes: Sequence[str]) -> tuple[str, UUID]:
        """Adds a token; returns it, for the only time, and its id. Raises NotFound for the workspace."""
        token = new_token()
        return token, await self._insert(workspace, TOKEN, token_hash(token), scopes)

    async def new_pair(self, workspace: UUID, scopes: Sequence[str]) -> tuple[str, str, UUID]:
        """Adds a key pair; returns key and secret, for the only time, and its id. Raises NotFound for the workspace."""
        api_key, secret_key = new_pair()
        return api_key, secret_key, await self._insert(workspace, PAIR, pair_hash(api_key, secret_key), scopes)

    async def _insert(self, workspace: UUID, kind: str, digest: bytes, scopes: Sequence[str]) -> UUID:
        made = Credential(new_id(), workspace, kind, digest, tuple(scopes), self.now())
        async with self.database.transaction() as sql:
            await workspaces.require(sql, workspace)
            await store.insert(sql, made)
        return made.id

    async def require_workspace(self, workspace: UUID) -> None:
        """Raises NotFound if there is no such workspace."""
        async with self.database.connection() as sql:
            await workspaces.require(sql, workspace)

    async def revoke(self, credential_id: UUID) -> None:
        """Ends a token or a pair; services forget it within 30 s. Raises NotFound."""
        async with self.database.transaction() as sql:
            await store.revoke(sql, credential_id, self.now())

    async def set_judge(self, workspace: UUID, judge: Judge) -> None:
        """Says who judges in a workspace. Raises NotFound, or Invalid for a connection that can't judge."""
        async with self.database.transaction() as sql:
            await workspaces.require(sql, workspace)
            await _check_judge(sql, workspace, judge)
            await workspaces.set_judge(sql, workspace, judge)


async def _check_judge(sql: Sql, workspace: UUID, judge: Judge) -> None:
    if judge.connection_id is None:
        return
    connection = await connections.hold(sql, workspace, judge.connection_id)
    if connection.settings.kind != JUDGING_KIND:
        raise Invalid({"connection": f"must be of the kind {JUDGING_KIND}"})
