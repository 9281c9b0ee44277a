"""Closing what a cancel left unexecuted, while nobody waits for it: a million cases take their time."""

import asyncio
import logging
from uuid import UUID

from services.runner.operations import runs
from services.runner.operations.completion import Completion
from shared.postgres import Database

# Each holds a connection of the pool while it is at it.
AT_ONCE = 2

log = logging.getLogger(__name__)


class Closing:
    """Closes cancelled runs in the background. What ends with the process, the reconciler goes on with."""

    def __init__(self, database: Database, completion: Completion) -> None:
        self._database, self._completion = database, completion
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._going_on: set[asyncio.Task[None]] = set()

    def begin(self, run_id: UUID) -> None:
        """Closes the unexecuted cases of a run whose cancel is committed, then the run, if nothing in it is still to be scored."""
        task = asyncio.create_task(self._close(run_id))
        self._going_on.add(task)  # or nobody would hold it
        task.add_done_callback(self._going_on.discard)

    async def _close(self, run_id: UUID) -> None:
        try:
            async with self._turns:
                following = await runs.close_unexecuted(self._database, run_id)
                while following is not None:
                    log.info("a cancelled run is being closed", extra={"run_id": str(run_id), "ord": following})
                    following = await runs.close_unexecuted(self._database, run_id, following)
            await self._completion.complete(run_id)
        except Exception as fault:  # noqa: BLE001 the cancel itself took effect; the reconciler goes on with this
            log.warning("closing a cancelled run is left to the reconciler", extra={"run_id": str(run_id), "fault": repr(fault)[:300]})
