"""Making, changing, listing and removing the cases of a set; each change is a revision of the set."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.catalog import csv_import
from services.catalog.csv_import import Imported
from services.catalog.entities.queries import CaseQuery
from services.catalog.entities.test_cases import Content, TestCase
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.store import test_cases as store, test_sets
from shared.ids import new_id
from shared.pages import Page
from shared.postgres import Connection as Sql, Database


@dataclass(frozen=True)
class TestCases:
    """What can be done with cases."""

    database: Database
    now: Clock

    async def create(self, workspace: UUID, set_id: UUID, said: Content, creation: Creation[TestCase, Answer]) -> Answer:
        """Adds a case. Raises NotFound for the set, Invalid naming each wrong field."""
        made = self._made(workspace, set_id, [said.checked()])

        async def make(sql: Sql) -> TestCase:
            await store.insert(sql, made, await test_sets.next_revision(sql, workspace, set_id, 1))
            return made[0]

        return await creation.once(self.database, make)

    async def create_from_csv(self, workspace: UUID, set_id: UUID, data: bytes, creation: Creation[Imported, Answer]) -> Answer:
        """Adds the good rows of a file as one revision, created in their order. Raises NotFound for the set, Invalid for the file."""
        async with self.database.connection() as sql:
            await test_sets.get(sql, workspace, set_id)
        # In a thread, so that calls beside it go on while 10 MB are read.
        imported = await asyncio.to_thread(csv_import.read, data)

        async def make(sql: Sql) -> Imported:
            if imported.contents:
                revision = await test_sets.next_revision(sql, workspace, set_id, len(imported.contents))
                await store.insert(sql, self._made(workspace, set_id, imported.contents), revision)
            return imported

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, set_id: UUID, case_id: UUID, changes: Mapping[str, Any]) -> TestCase:
        """Changes what is given. Raises NotFound for the set or the case, Invalid naming each wrong field."""
        async with self.database.transaction() as sql:
            revision = await test_sets.next_revision(sql, workspace, set_id, 0)
            changed = (await store.get(sql, workspace, set_id, case_id)).changed(changes, self.now())
            await store.close(sql, changed, revision)
            await store.insert(sql, [changed], revision)
        return changed

    async def delete(self, workspace: UUID, set_id: UUID, case_id: UUID) -> None:
        """Removes a case. Raises NotFound for the set or the case."""
        async with self.database.transaction() as sql:
            revision = await test_sets.next_revision(sql, workspace, set_id, -1)
            await store.close(sql, await store.get(sql, workspace, set_id, case_id), revision)

    async def page(self, workspace: UUID, set_id: UUID, query: CaseQuery) -> Page[TestCase]:
        """A page of cases. Raises NotFound for the set."""
        async with self.database.connection() as sql:
            total = (await test_sets.get(sql, workspace, set_id)).test_case_count
            if query.filter.filters:
                total = await store.count(sql, workspace, set_id, query.filter)
            return Page(await store.page(sql, workspace, set_id, query), total, query.page)

    def _made(self, workspace: UUID, set_id: UUID, said: Sequence[Content]) -> list[TestCase]:
        now = self.now()
        return [TestCase(new_id(), workspace, set_id, content, now, now) for content in said]
