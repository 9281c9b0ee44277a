"""Freezing: a run keeps its own copy of the cases of one revision, and only then begins to run."""

import logging
from uuid import UUID

import grpc

from services.runner import convert
from services.runner.clients import Catalog
from services.runner.entities import MAX_FREEZE_FAILURES, Counts, Run
from services.runner.operations import dispatch
from services.runner.store import cases, runs
from shared import outbox
from shared.outbox import Event
from shared.postgres import Database
from shared.topics import RUN_FINISHED

# The catalog being away is no fault of the run's.
AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}

log = logging.getLogger(__name__)


class Overtaken(Exception):
    """The run was cancelled or deleted meanwhile."""


class Mismatch(Exception):
    """The catalog streamed another number of cases than the run was accepted with."""


async def freeze(database: Database, catalog: Catalog, run_id: UUID) -> None:
    """Freezes a pending or starting run and issues its first tickets. After five refusals the run is in error."""
    async with database.transaction() as connection:
        run = await runs.begin_freeze(connection, run_id)
    if run is None:
        return
    try:
        await _copy(database, catalog, run)
    except grpc.aio.AioRpcError as refusal:
        if refusal.code() not in AWAY:
            await _refused(database, run, refusal.details() or refusal.code().name)
    except Mismatch as mismatch:
        await _refused(database, run, str(mismatch))
    except Overtaken:
        log.info("a run was cancelled or deleted while it was frozen", extra={"run_id": str(run.id)})


async def _copy(database: Database, catalog: Catalog, run: Run) -> None:
    async with database.transaction() as connection:
        if not await runs.try_freeze_lock(connection, run.id):
            return  # another process is at it
        position = 0
        async for batch in catalog.cases(run):
            for repeat in range(1, run.repeats + 1):
                await cases.freeze(connection, convert.frozen(run, repeat, position, batch.cases))
            position += len(batch.cases)
        if position != run.case_count:
            raise Mismatch(f"the test set had {position} cases instead of {run.case_count}")
        if not await runs.set_running(connection, run.id):
            # Cancelled or deleted meanwhile: the copies go with this transaction.
            raise Overtaken
        await dispatch.fill_window(connection, run.id)


async def _refused(database: Database, run: Run, reason: str) -> None:
    log.warning("a run could not be frozen", extra={"run_id": str(run.id), "fault": reason})
    async with database.transaction() as connection:
        if await runs.freeze_failed(connection, run.id) < MAX_FREEZE_FAILURES:
            return
        ended = await runs.set_error(connection, run.id, f"the test cases could not be read: {reason}")
        if ended is not None:
            finished = convert.run_finished(ended, Counts())
            await outbox.append(connection, [Event(RUN_FINISHED, finished, f"finished:{run.id}")])
