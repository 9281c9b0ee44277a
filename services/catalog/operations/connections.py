"""Making, changing and removing connections."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.connections import Connection, Sealed, Settings, secret_faults
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.secrets_box import KeyRing
from services.catalog.store import agents, connections as store, workspace_settings
from shared.errors import InUse
from shared.ids import new_id
from shared.postgres import Connection as Sql, Database


@dataclass(frozen=True)
class Connections:
    """What can be done with connections."""

    database: Database
    keys: KeyRing
    now: Clock

    async def create(self, workspace: UUID, said: Settings, api_key: str | None, creation: Creation[Connection, Answer]) -> Answer:
        """Adds a connection. Raises Invalid naming each wrong field."""
        faults.refuse({**said.faults(), **secret_faults(api_key)})
        now, made_id = self.now(), new_id()
        made = Connection(made_id, workspace, said.checked(), self._sealed(api_key, workspace, made_id), 1, now, now)

        async def make(sql: Sql) -> Connection:
            await store.insert(sql, made)
            return made

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, connection_id: UUID, changes: Mapping[str, Any], api_key: str | None) -> Connection:
        """Changes settings; an `api_key` of "" removes the secret, None leaves it. Raises NotFound, or Invalid naming each wrong field."""
        faults.refuse(secret_faults(api_key))
        async with self.database.transaction() as sql:
            changed = (await store.lock(sql, workspace, connection_id)).changed(changes, self.now())
            if api_key is not None:
                changed = replace(changed, secret=self._sealed(api_key, workspace, connection_id))
            await store.update(sql, changed)
        return changed

    async def delete(self, workspace: UUID, connection_id: UUID) -> None:
        """Removes a connection. Raises NotFound, or InUse."""
        async with self.database.transaction() as sql:
            await store.lock(sql, workspace, connection_id)
            contexts, judges = await store.uses(sql, workspace, connection_id)
            if contexts:
                raise InUse(f"the connection is used by {contexts} {'context' if contexts == 1 else 'contexts'}")
            if judges:
                raise InUse("the connection is the workspace's judge")
            await _refuse_other_uses(sql, workspace, connection_id)
            await store.delete(sql, workspace, connection_id)

    async def reseal(self) -> int:
        """Encrypts every secret that an older key sealed with the newest one. Returns how many."""
        async with self.database.connection() as sql:
            older = await store.sealed_otherwise(sql, self.keys.newest)
        for workspace, connection_id in older:
            async with self.database.transaction() as sql:
                found = await store.lock(sql, workspace, connection_id)
                if found.secret is not None:
                    text = self.keys.open(found.secret, workspace, connection_id)
                    await store.update(sql, replace(found, secret=self._sealed(text, workspace, connection_id)))
        return len(older)

    def _sealed(self, api_key: str | None, workspace: UUID, connection_id: UUID) -> Sealed | None:
        return self.keys.seal(api_key, workspace, connection_id) if api_key else None


async def _refuse_other_uses(sql: Sql, workspace: UUID, connection_id: UUID) -> None:
    versions = await agents.versions_on(sql, workspace, connection_id)
    if versions:
        raise InUse(f"the connection is used by {versions} {'assistant version' if versions == 1 else 'assistant versions'}")
    is_default, simulates = await workspace_settings.uses(sql, workspace, connection_id)
    if is_default or simulates:
        raise InUse(f"the connection is the workspace's {'default' if is_default else 'simulated user'}")
