"""Making, changing and removing datasets, adding cases to them, and reading the cases of one moment."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from assay.catalog.internal.v1.events_pb2 import SubjectDeleted
from services.catalog.clients import Peers
from services.catalog.entities import faults
from services.catalog.entities.dataset_cases import MAX_CASES, DatasetCase, Example
from services.catalog.entities.datasets import Dataset, DatasetOutline, DatasetRef
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.store import dataset_cases, datasets as store, test_cases, workspaces
from shared import outbox
from shared.errors import NotFound
from shared.ids import new_id
from shared.outbox import Event
from shared.postgres import Connection as Sql, Database
from shared.topics import SUBJECT_DELETED


@dataclass(frozen=True)
class Examples:
    """Cases to be made, and the field that they came in."""

    field: str
    said: Sequence[Example]

    def contents(self, kind: str) -> list[dict[str, Any]]:
        """What a dataset of this kind keeps of them. Raises Invalid naming each wrong field."""
        if len(self.said) > MAX_CASES:
            faults.refuse({self.field: f"must have at most {MAX_CASES} entries"})
        faults.refuse({f"{self.field}[{index}]{path}": fault for index, said in enumerate(self.said) for path, fault in said.faults(kind)})
        return [said.content(kind) for said in self.said]


@dataclass(frozen=True)
class Datasets:
    """What can be done with datasets."""

    database: Database
    peers: Peers
    now: Clock

    async def create(self, workspace: UUID, of: DatasetRef, said: DatasetOutline, creation: Creation[Dataset, Answer]) -> Answer:
        """Adds a dataset of the one kind that `of` tells. Raises NotFound for the project, Invalid, NameTaken."""
        now = self.now()
        [kind] = of.kinds

        async def make(sql: Sql) -> Dataset:
            await workspaces.require_project(sql, workspace, of.project_id)
            made = Dataset(new_id(), workspace, of.project_id, kind, said.checked(), 0, 0, now, now)
            await store.insert(sql, made)
            return made

        return await creation.once(self.database, make)

    async def get(self, workspace: UUID, ref: DatasetRef) -> Dataset:
        """One dataset. Raises NotFound."""
        async with self.database.connection() as sql:
            return await store.get(sql, workspace, ref)

    async def update(self, workspace: UUID, ref: DatasetRef, changes: Mapping[str, Any]) -> Dataset:
        """Changes what is given. Raises NotFound, Invalid naming each wrong field, NameTaken."""
        async with self.database.transaction() as sql:
            changed = (await store.lock(sql, workspace, ref)).changed(changes, self.now())
            await store.update(sql, changed)
        return changed

    async def delete(self, workspace: UUID, ref: DatasetRef) -> None:
        """Removes a dataset with its cases, and tells the owners of its runs before it returns. Raises NotFound."""
        async with self.database.transaction() as sql:
            found = await store.lock(sql, workspace, ref)
            await store.delete(sql, found)
            await test_cases.delete_all(sql, workspace, found.id)
            gone = SubjectDeleted(workspace_id=str(workspace), subject_id=str(found.id))
            await outbox.append(sql, [Event(SUBJECT_DELETED, gone, key=f"{SUBJECT_DELETED.name}:{found.id}")])
        await self.peers.forget_subject(workspace, found.id)

    async def add(self, workspace: UUID, ref: DatasetRef, said: Examples, creation: Creation[Sequence[DatasetCase], Answer]) -> Answer:
        """Adds cases in this order, all or none, as one revision. Raises NotFound, Invalid naming each wrong field."""
        dataset = await self.get(workspace, ref)
        contents, now = said.contents(dataset.kind), self.now()

        async def make(sql: Sql) -> Sequence[DatasetCase]:
            made = [DatasetCase(new_id(), workspace, dataset.id, content, now) for content in contents]
            if made:
                await dataset_cases.insert(sql, made, await store.next_revision(sql, dataset, len(made)))
            return made

        return await creation.once(self.database, make)

    async def cases(self, dataset: Dataset) -> AsyncIterator[Sequence[asyncpg.Record]]:
        """The cases of its revision in batches, in the order in which they were made.

        No transaction spans them: rows of a revision stay for a day, and only a deletion takes them away. Raises NotFound then.
        """
        after: tuple[int, UUID] | None = None
        seen = 0
        while seen < dataset.case_count:
            async with self.database.connection() as sql:
                batch = await test_cases.batch_at(sql, dataset.workspace_id, dataset.id, dataset.revision, after)
            if not batch:
                raise NotFound(store.KIND)
            yield batch
            after, seen = (batch[-1]["position"], batch[-1]["id"]), seen + len(batch)
