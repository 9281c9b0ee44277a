"""What was forgotten: every few seconds, on every replica, things that should have gone on by themselves are pushed on."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from services.runner.clients import Catalog
from services.runner.operations import chats, dispatch, execution, freezing, recording, runs as run_operations
from services.runner.operations.completion import Completion
from services.runner.rounds import go_round
from services.runner.store import runs
from shared import observe
from shared.postgres import Database, retrying

FREEZES_AT_ONCE = 4
SILENT = timedelta(seconds=10)
LEFT = timedelta(minutes=10)

log = logging.getLogger(__name__)


class Reconciler:
    """Safe to run anywhere at any time: everything it does is decided by the rows under their locks."""

    def __init__(self, database: Database, catalog: Catalog, completion: Completion, lease: timedelta, left: timedelta = LEFT) -> None:
        self._database, self._catalog, self._completion, self._lease = database, catalog, completion, lease
        self._left = left  # after so long without a word the client has left a call
        self._freezing: dict[UUID, asyncio.Task[None]] = {}
        # Each holds a connection of the pool for as long as the catalog streams.
        self._freezes = asyncio.Semaphore(FREEZES_AT_ONCE)

    async def run(self) -> None:
        """Looks every 5 s until cancelled."""
        looks = (self.tickets, self.freezes, self.calls, self.recordings, self.runs)
        await go_round({look.__name__: look for look in looks}, log, "reconciler is waiting")

    def freeze_soon(self, run_id: UUID) -> None:
        """Freezes without waiting for the next look, unless it is at it already."""
        if run_id not in self._freezing:
            task = self._freezing[run_id] = asyncio.create_task(self._freeze(run_id))
            task.add_done_callback(lambda _: self._freezing.pop(run_id))

    async def _freeze(self, run_id: UUID) -> None:
        try:
            async with self._freezes:
                await freezing.freeze(self._database, self._catalog, run_id)
        except Exception as fault:  # noqa: BLE001 the next look freezes again
            log.warning("freezing is waiting", extra={"run_id": str(run_id), "fault": repr(fault)})

    async def tickets(self) -> None:
        """Issues again what nobody works on; closes what killed its workers; finishes what is done."""
        for ticket in await retrying(lambda: dispatch.reissue_overdue(self._database)):
            await execution.blame(self._database, ticket, self._lease)
            await dispatch.finish_if_done(self._database, ticket)
        observe.TICKETS_OUT.set(await dispatch.outstanding(self._database))

    async def freezes(self) -> None:
        """Freezes again what was accepted and stayed silent."""
        async with self._database.connection() as connection:
            silent = await runs.unfrozen(connection, SILENT)
        # Not waited for: a catalog that hangs must not keep tickets and completions from being looked at.
        for run_id in silent:
            self.freeze_soon(run_id)

    async def recordings(self) -> None:
        """Hands over client-driven runs whose last recording was not followed by it."""
        for run_id in await recording.unsubmitted(self._database):
            with _by_itself(run_id, "a run could not be handed over"):
                await recording.submit_if_complete(self._database, run_id)

    async def calls(self) -> None:
        """Ends calls of chat mode whose client has left."""
        await chats.end_abandoned(self._database, self._left)

    async def runs(self) -> None:
        """Completes what is done, goes on with cancels, and fills windows that a dead worker left empty."""
        async with self._database.connection() as connection:
            running = await runs.in_state(connection, "running")
            cancelling = await runs.in_state(connection, "cancelling")
        for run_id in [*cancelling, *running]:
            with _by_itself(run_id, "a run could not be pushed on"):
                await self._push(run_id, cancelling=run_id in cancelling)

    async def _push(self, run_id: UUID, *, cancelling: bool) -> None:
        if cancelling:
            await run_operations.close_unexecuted(self._database, run_id)
        if not await self._completion.complete(run_id) and not cancelling:
            await dispatch.finish_tickets(self._database, run_id, [])

    async def close(self) -> None:
        """Ends what was begun."""
        tasks = list(self._freezing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _by_itself(run_id: UUID, trouble: str) -> Iterator[None]:
    """One run's trouble must not be that of all after it."""
    try:
        yield
    except Exception as fault:  # noqa: BLE001 looked at again in 5 s
        log.warning(trouble, extra={"run_id": str(run_id), "fault": repr(fault)})
