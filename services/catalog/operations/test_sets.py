"""Making, changing, listing and removing test sets, and what a run tells of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

from assay.catalog.internal.v1.events_pb2 import SubjectDeleted
from assay.runner.internal.v1.events_pb2 import RunFinished
from services.catalog.clients import Peers
from services.catalog.entities.test_sets import Outline, TestSet
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.store import contexts, test_cases, test_sets as store
from shared import inbox, outbox
from shared.consumer import Received
from shared.ids import new_id
from shared.outbox import Event
from shared.postgres import Connection as Sql, Database
from shared.topics import RUN_FINISHED, SUBJECT_DELETED

COMPLETED = "completed"


@dataclass(frozen=True)
class TestSets:
    """What can be done with test sets."""

    database: Database
    peers: Peers
    now: Clock

    async def create(self, workspace: UUID, said: Outline, creation: Creation[TestSet, Answer]) -> Answer:
        """Adds a set. Raises Invalid naming each wrong field, NotFound for the context."""
        now = self.now()
        made = TestSet(new_id(), workspace, said.checked(), 0, 0, None, None, now, now)

        async def make(sql: Sql) -> TestSet:
            await contexts.hold(sql, workspace, said.context_id)
            await store.insert(sql, made)
            return made

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, set_id: UUID, changes: Mapping[str, Any]) -> TestSet:
        """Changes what is given. Raises NotFound, or Invalid naming each wrong field."""
        async with self.database.transaction() as sql:
            changed = (await store.lock(sql, workspace, set_id)).changed(changes, self.now())
            await store.update(sql, changed)
        return changed

    async def delete(self, workspace: UUID, set_id: UUID) -> None:
        """Removes a set with its cases, and tells the owners of its runs before it returns. Raises NotFound."""
        gone = SubjectDeleted(workspace_id=str(workspace), subject_id=str(set_id))
        async with self.database.transaction() as sql:
            await store.delete(sql, workspace, set_id)
            await test_cases.delete_all(sql, workspace, set_id)
            await outbox.append(sql, [Event(SUBJECT_DELETED, gone, key=f"{SUBJECT_DELETED.name}:{set_id}")])
        await self.peers.forget_subject(workspace, set_id)

    async def note_finished(self, events: Sequence[Received]) -> None:
        """Brings `last_run_*` up to date with runs that completed; those that ended otherwise leave them."""
        async with self.database.transaction() as sql:
            taken = await inbox.take(sql, RUN_FINISHED, [event.seq for event in events])
            for event in events:
                if event.seq in taken and event.message.run.state == COMPLETED and event.message.expected_results:
                    await _note(sql, event.message)


async def _note(sql: Sql, finished: RunFinished) -> None:
    run = finished.run
    completed_at = run.completed_at.ToDatetime(tzinfo=UTC)
    pass_rate = finished.passed / finished.expected_results
    await store.note_run(sql, UUID(run.workspace_id), UUID(run.subject_id), completed_at, pass_rate)
