"""Forgetting what was deleted: hidden at once, removed in slices."""

from collections.abc import Sequence
from uuid import UUID

from services.reporting.operations.projection import Tell
from services.reporting.store import runs, tombstones
from shared import inbox
from shared.consumer import Received
from shared.postgres import Database
from shared.slices import slice_by_slice
from shared.topics import RUN_DELETED, SUBJECT_DELETED

RUN, SUBJECT = "run", "subject"
AT_ONCE = 20


class Forgetting:
    """Hides and removes runs; `tell` is called with the runs that are gone, after the commit."""

    def __init__(self, database: Database, tell: Tell) -> None:
        self._database, self._tell = database, tell

    async def forget(self, workspace: UUID, run_ids: Sequence[UUID], subject_ids: Sequence[UUID]) -> None:
        """Hides runs, and test sets with their runs, from now on."""
        async with self._database.transaction() as connection:
            await tombstones.add(connection, workspace, RUN, run_ids)
            await tombstones.add(connection, workspace, SUBJECT, subject_ids)
        await self._tell(run_ids)

    async def settled(self, workspace: UUID, run_ids: Sequence[UUID]) -> list[UUID]:
        """Those of the runs that are closed: whoever executed them may forget their cases."""
        async with self._database.connection() as connection:
            return await runs.closed(connection, workspace, run_ids)

    async def runs_deleted(self, heard: Sequence[Received]) -> None:
        """The runner deleted runs."""
        async with self._database.transaction() as connection:
            taken = await inbox.take(connection, RUN_DELETED, [event.seq for event in heard])
            for event in heard:
                if event.seq in taken:
                    await tombstones.add(connection, UUID(event.message.workspace_id), RUN, [UUID(event.message.run_id)])
        await self._tell([UUID(event.message.run_id) for event in heard])

    async def subjects_deleted(self, heard: Sequence[Received]) -> None:
        """The catalog deleted test sets."""
        async with self._database.transaction() as connection:
            taken = await inbox.take(connection, SUBJECT_DELETED, [event.seq for event in heard])
            for event in heard:
                if event.seq in taken:
                    await tombstones.add(connection, UUID(event.message.workspace_id), SUBJECT, [UUID(event.message.subject_id)])

    async def sweep(self) -> None:
        """Removes rows of what was deleted, a slice at a time, until none is left that others don't hold."""
        await slice_by_slice(self._sweep_slice)
        async with self._database.connection() as connection:
            await tombstones.settle(connection)
            await tombstones.trim(connection)

    async def _sweep_slice(self) -> bool:
        async with self._database.connection() as connection:
            left = await tombstones.runs_left(connection, AT_ONCE)
        return any([await self._remove(workspace, run_id) for workspace, run_id in left])

    async def _remove(self, workspace: UUID, run_id: UUID) -> bool:
        """Removes a slice of a run, its row last. False if others hold it."""
        async with self._database.transaction() as connection:
            if not await tombstones.hold(connection, workspace, run_id):
                return False
            if not await tombstones.remove_results(connection, workspace, run_id):
                await tombstones.remove_run(connection, workspace, run_id)
        return True
