"""Making, changing, versioning and removing agents."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.agents import Agent, Definition, Outline, Version
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.operations.defaults import default_connection
from services.catalog.store import agents as store, connections
from shared.ids import new_id
from shared.postgres import Connection as Sql, Database

NOBODY = UUID(int=0)


@dataclass(frozen=True)
class Agents:
    """What can be done with agents. What is said of a version travels by the names of Definition's fields."""

    database: Database
    now: Clock

    async def create(self, workspace: UUID, outline: Outline, said: Mapping[str, Any], creation: Creation[Agent, Answer]) -> Answer:
        """Adds an agent with its first version, on the default connection unless one is said.

        Raises Invalid naming each wrong field, NotFound for the connection.
        """
        faults.refuse({**outline.faults(), **Definition(**{"connection_id": NOBODY, **said}).faults()})

        async def make(sql: Sql) -> Agent:
            now = self.now()
            definition = await self._on_connection(sql, workspace, said)
            agent_id = new_id()
            first = Version(new_id(), workspace, agent_id, 1, definition, is_main=True, created_at=now)
            made = Agent(agent_id, workspace, outline, first, 1, now, now)
            await store.insert(sql, made)
            return made

        return await creation.once(self.database, make)

    async def update(
        self, workspace: UUID, agent_id: UUID, outline: Mapping[str, Any], said: Mapping[str, Any], *, main: bool = True
    ) -> Agent:
        """Changes what is given, and makes a version of it. Raises NotFound for the agent or the connection, Invalid naming each wrong field."""
        async with self.database.transaction() as sql:
            found = await store.lock(sql, workspace, agent_id)
            changed = found.changed(outline, self.now())
            version = await self._next(sql, changed, said, main=main)
            changed = changed.with_version(version)
            await store.update(sql, changed)
        return changed

    async def create_version(
        self, workspace: UUID, agent_id: UUID, said: Mapping[str, Any], creation: Creation[Version, Answer], *, main: bool = False
    ) -> Answer:
        """Adds a version; what isn't said is as in the main one. Raises as `update`."""

        async def make(sql: Sql) -> Version:
            found = await store.lock(sql, workspace, agent_id)
            version = await self._next(sql, found, said, main=main)
            await store.update(sql, replace(found.with_version(version), updated_at=self.now()))
            return version

        return await creation.once(self.database, make)

    async def promote(self, workspace: UUID, agent_id: UUID, version_id: UUID) -> Version:
        """Makes a version the main one. Raises NotFound for the agent or the version."""
        async with self.database.transaction() as sql:
            found = await store.lock(sql, workspace, agent_id)
            version = replace(await store.get_version(sql, workspace, agent_id, version_id), is_main=True)
            await store.update(sql, replace(found.with_version(version), updated_at=self.now()))
        return version

    async def delete(self, workspace: UUID, agent_id: UUID) -> None:
        """Removes an agent with its versions; tests that were written for it stay. Raises NotFound, or InUse."""
        async with self.database.transaction() as sql:
            await store.delete(sql, workspace, agent_id)

    async def _next(self, sql: Sql, agent: Agent, said: Mapping[str, Any], *, main: bool) -> Version:
        definition = replace(agent.main.definition, **{"note": None, **said}).checked()
        if "connection_id" in said:
            definition.check_model(await connections.hold(sql, agent.workspace_id, definition.connection_id))
        version = agent.next_version(new_id(), definition, self.now(), main=main)
        await store.insert_version(sql, version)
        return version

    async def _on_connection(self, sql: Sql, workspace: UUID, said: Mapping[str, Any]) -> Definition:
        if "connection_id" not in said:
            connection = await default_connection(sql, workspace, self.now())
            return Definition(connection_id=connection.id, **said)
        definition = Definition(**said)
        definition.check_model(await connections.hold(sql, workspace, definition.connection_id))
        return definition
