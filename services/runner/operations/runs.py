"""Commands on runs: start, cancel, delete."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from assay.runner.internal.v1 import events_pb2
from assay.runner.v1 import runs_pb2
from services.runner import convert
from services.runner.clients import Catalog
from services.runner.entities import CANCELLING, Counts, Run
from services.runner.schedules import ASSISTANT_TEST
from services.runner.store import cases, pruning, runs, schedules, tickets
from services.runner.wishes import Wish, new_run
from shared import inbox, outbox
from shared.consumer import Received
from shared.idempotency import Effect, Key, answered, once
from shared.ids import new_id
from shared.outbox import Event
from shared.postgres import Connection, Database, retrying
from shared.topics import RUN_DELETED, RUN_STARTED, SUBJECT_DELETED

CANCEL_SLICE = 5000
SLICES_AT_ONCE = 10  # so that the reconciler gets to the other runs too


@dataclass(frozen=True)
class Start:
    """A wish of a workspace, and the key under which its answer is kept."""

    workspace: UUID
    wish: Wish
    key: Key | None
    now: datetime


async def start_run(database: Database, catalog: Catalog, start: Start) -> tuple[runs_pb2.Run, bool]:
    """Accepts a run; answers it, and whether it is new. Raises EmptySet, Invalid, and passes on the catalog's NOT_FOUND."""
    known = await answered(database, start.key, runs_pb2.Run)
    if known is not None:
        return known, False
    start.wish.check()
    subject = await catalog.resolve(start.workspace, start.wish.test_set_id, start.wish.context_id)
    run = new_run(start.wish, subject, (new_id(), start.workspace), start.now)

    async def accept(connection: Connection) -> runs_pb2.Run:
        await runs.insert(connection, run)
        started = events_pb2.RunStarted(run=convert.run_state(run))
        await outbox.append(connection, [Event(RUN_STARTED, started, f"started:{run.id}")])
        return convert.run(run)

    answer = await once(database, start.key, Effect(runs_pb2.Run, accept))
    return answer, answer.id == str(run.id)


async def cancel_run(database: Database, workspace: UUID, run_id: UUID) -> tuple[Run, Counts]:
    """Makes a run `cancelling`, so that no case can be claimed any more. Raises NotFound, WrongState."""
    async with database.transaction() as connection:
        run = (await runs.lock(connection, workspace, run_id)).cancelling()
        await runs.save_state(connection, run)
        return run, await pruning.counts(connection, run)


async def close_unexecuted(database: Database, run_id: UUID, first: int = 0) -> int | None:
    """Closes unexecuted cases of a run that is being cancelled, from this ord on, some slices of them; what was executed is still
    scored. The ord to go on from, None when none is left: whoever begins at the front again steps over all that is closed by now.
    """

    async def slice_(first: int) -> int | None:
        async with database.transaction() as connection:
            run = await runs.find(connection, run_id)
            if run is None or run.state != CANCELLING:
                return None
            return await cases.cancel_slice(connection, run_id, first, CANCEL_SLICE)

    for _ in range(SLICES_AT_ONCE):
        following = await retrying(partial(slice_, first))
        if following is None:
            break
        first = following
    else:
        return first
    async with database.transaction() as connection:
        await tickets.delete(connection, run_id)
    return None


async def delete_run(database: Database, workspace: UUID, run_id: UUID, now: datetime) -> None:
    """Deletes a run whatever its state; its cases follow in slices. Raises NotFound."""
    async with database.transaction() as connection:
        await _delete(connection, [await runs.lock(connection, workspace, run_id)], now)


async def delete_runs_of_subject(connection: Connection, workspace: UUID, subject_id: UUID, now: datetime) -> list[UUID]:
    """Deletes all runs of a subject, and ends its schedule; returns their ids."""
    await schedules.end(connection, workspace, ASSISTANT_TEST, str(subject_id))
    gone = await runs.of_subject(connection, workspace, subject_id)
    await _delete(connection, gone, now)
    return [run.id for run in gone]


async def _delete(connection: Connection, gone: Sequence[Run], now: datetime) -> None:
    if not gone:
        return
    await runs.delete(connection, [run.id for run in gone])
    events = []
    for run in gone:
        message = events_pb2.RunDeleted(workspace_id=str(run.workspace_id), run_id=str(run.id))
        message.deleted_at.FromDatetime(now)
        events.append(Event(RUN_DELETED, message, f"deleted:{run.id}"))
    await outbox.append(connection, events)


async def delete_ended(database: Database, age: timedelta, most: int, now: datetime) -> int:
    """Deletes runs that ended longer ago than this, at most so many, just as their owner would; how many."""
    async with database.transaction() as connection:
        outlived = await runs.lock_ended(connection, age, most)
        await _delete(connection, outlived, now)
        return len(outlived)


async def forget_subject(database: Database, workspace: UUID, subject_id: UUID, now: datetime) -> list[UUID]:
    """Deletes all runs of a test set that the catalog deleted; returns their ids, so that their calls can be ended."""
    async with database.transaction() as connection:
        return await delete_runs_of_subject(connection, workspace, subject_id, now)


async def hear_subjects_deleted(database: Database, events: Sequence[Received], clock: Callable[[], datetime]) -> None:
    """The net under forget_subject."""
    async with database.transaction() as connection:
        fresh = await inbox.take(connection, SUBJECT_DELETED, [event.seq for event in events])
        for event in events:
            if event.seq in fresh:
                gone = event.message
                await delete_runs_of_subject(connection, UUID(gone.workspace_id), UUID(gone.subject_id), clock())
