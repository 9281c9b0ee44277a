"""Forgetting what nobody needs any more: cases a day after their run ended, whole runs if that is wished, old idempotency keys."""

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.runner.clients import Reporting
from services.runner.entities import CANCELLED, Counts
from services.runner.operations import runs as operations
from services.runner.store import cases, pruning as store
from services.runner.store.pruning import FIRST, Unpruned
from shared import idempotency
from shared.postgres import Database

CASE_SLICE = 5000
LOOKED_AT = 200
RUNS_AT_ONCE = 20
# Of one look. Whoever sets a limit on years of runs must not flood those that hear of each: their rows go in slices as well.
MOST_RUNS = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keep:
    """For how long what ended is kept. `runs`: for ever if there is none."""

    cases: timedelta = timedelta(hours=24)
    runs: timedelta | None = None

    @classmethod
    def of(cls, run_days: float) -> "Keep":
        """Runs go after so many days; none does with 0, or less."""
        return cls(runs=timedelta(days=run_days) if run_days > 0 else None)


class Pruning:
    """Safe on every replica at once: who removes what is decided by the rows under their locks."""

    def __init__(self, database: Database, reporting: Reporting, keep: Keep, clock: Callable[[], datetime]) -> None:
        self._database, self._reporting, self._keep, self._clock = database, reporting, keep, clock
        self._after = FIRST  # runs up to here were looked at

    async def delete_outlived(self) -> None:
        """Deletes the oldest of the runs that are kept no longer."""
        if self._keep.runs is None:
            return
        for _ in range(0, MOST_RUNS, RUNS_AT_ONCE):
            if await operations.delete_ended(self._database, self._keep.runs, RUNS_AT_ONCE, self._clock()) < RUNS_AT_ONCE:
                break

    async def mark_ended(self) -> None:
        """Has the cases of runs removed whose results can all be read, and that ended long enough ago.

        Until then reporting may still have to ask for long texts of them.
        """
        async with self._database.connection() as connection:
            found = await store.unpruned(connection, self._keep.cases, self._after, LOOKED_AT)
        # Goes round: runs that reporting can't close must not keep those after them from being looked at.
        self._after = found[-1].ended if len(found) == LOOKED_AT else FIRST
        for workspace, theirs in itertools.groupby(sorted(found, key=_workspace), key=_workspace):
            try:
                await self._mark_settled(workspace, list(theirs))
            except Exception as fault:  # noqa: BLE001 looked at again; one workspace's trouble must not be that of all after it
                log.warning("cases of ended runs are kept for now", extra={"workspace_id": str(workspace), "fault": repr(fault)})

    async def _mark_settled(self, workspace: UUID, ended: Sequence[Unpruned]) -> None:
        settled = await self._reporting.settled(workspace, [run.ended.id for run in ended])
        kept = await self._counts([run for run in ended if run.ended.id in settled])
        async with self._database.transaction() as connection:
            await store.mark(connection, kept)

    async def _counts(self, ended: Sequence[Unpruned]) -> Mapping[UUID, Counts | None]:
        """What a cancelled run is answered with when it is cancelled again; of other runs a command never answers counts."""
        async with self._database.connection() as connection:
            return {run.ended.id: await cases.counts(connection, run.ended.id) if run.state == CANCELLED else None for run in ended}

    async def remove_slice(self, rows: int = CASE_SLICE) -> bool:
        """Removes a slice of the cases of runs that were deleted, or are kept without; False when nothing is left to do here."""
        async with self._database.transaction() as connection:
            return await store.remove_slice(connection, rows)

    async def forget_keys(self) -> None:
        """Removes a slice of the idempotency keys that are older than a day."""
        async with self._database.transaction() as connection:
            await idempotency.trim(connection)


def _workspace(run: Unpruned) -> UUID:
    return run.workspace
