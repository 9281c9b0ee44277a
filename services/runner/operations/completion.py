"""The end of a run: every case scored or cancelled, and one RunFinished."""

from collections.abc import Sequence
from uuid import UUID

from services.runner import convert
from services.runner.entities import Outcome
from services.runner.store import cases, runs, tickets
from shared import inbox, outbox
from shared.consumer import Received
from shared.outbox import Event
from shared.postgres import Database, retrying
from shared.topics import CASES_SCORED, RUN_FINISHED, RUN_STARTED

HINTS = 10_000


class Completion:
    """Completes runs. Remembers the first open case of each: final cases never open again, so no look starts at the front."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._first_open: dict[UUID, int] = {}

    async def hear_scored(self, events: Sequence[Received]) -> None:
        """Notes scored cases, then completes the runs that have none open; each in a transaction of its own."""

        async def note() -> set[UUID]:
            async with self._database.transaction() as connection:
                fresh = await inbox.take(connection, CASES_SCORED, [event.seq for event in events])
                by_run: dict[UUID, dict[int, Outcome]] = {}
                for event in events:
                    if event.seq in fresh:
                        by_run.setdefault(UUID(event.message.run_id), {}).update(convert.outcomes(event.message))
                for run_id in sorted(by_run):
                    await cases.scored(connection, run_id, by_run[run_id])
                return set(by_run)

        for run_id in await retrying(note):
            await self.complete(run_id)

    async def complete(self, run_id: UUID) -> bool:
        """Whether the run ended now."""
        async with self._database.connection() as connection:
            open_ = await cases.first_open(connection, run_id, self._first_open.get(run_id, 0))
        if open_ is not None:
            self._remember(run_id, open_)
            return False
        self._first_open.pop(run_id, None)
        async with self._database.transaction() as connection:
            ended = await runs.complete(connection, run_id)
            if ended is None:
                return False
            await tickets.delete(connection, run_id)
            finished = convert.run_finished(ended, await cases.counts(connection, run_id))
            finished.trace = await outbox.trace_of(connection, RUN_STARTED, f"started:{run_id}")
            await outbox.append(connection, [Event(RUN_FINISHED, finished, f"finished:{run_id}")])
        return True

    def _remember(self, run_id: UUID, first_open: int) -> None:
        if len(self._first_open) >= HINTS:
            self._first_open.clear()
        self._first_open[run_id] = first_open
