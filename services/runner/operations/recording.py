"""Client-driven runs: the client executes the cases and records what came out; the last one in hands all to scoring.

No tickets, no leases: a recording overwrites its case until every case is in, or the run is closed.
"""

from uuid import UUID

from services.runner import convert
from services.runner.entities import RUNNING, Run
from services.runner.store import cases, recordings, runs
from services.runner.subjects import Recording
from shared import outbox
from shared.errors import NotFound, WrongState
from shared.outbox import Event
from shared.postgres import Connection, Database, retrying
from shared.topics import CASES_EXECUTED

SLICE = 500
NOT_RECORDED = "no output was recorded before the run was closed"


async def record(database: Database, workspace: UUID, run_id: UUID, case_id: UUID, said: Recording) -> None:
    """Keeps what the client says of a case, over what it said before; with the last case, hands all to scoring.

    Raises NotFound for the run or the case, WrongState once the run is complete.
    """

    async def write() -> bool:
        async with database.transaction() as connection:
            if await recordings.record(connection, workspace, run_id, case_id, said):
                return True
            await _refuse(connection, workspace, run_id, case_id)
            return False

    await retrying(write)
    await submit_if_complete(database, run_id)


async def _refuse(connection: Connection, workspace: UUID, run_id: UUID, case_id: UUID) -> None:
    run = await runs.get(connection, workspace, run_id)
    if not run.client_driven or not await recordings.has_case(connection, run_id, case_id):
        raise NotFound("test case")
    raise WrongState("the run is complete: nothing more can be recorded", state=run.state)


async def submit_if_complete(database: Database, run_id: UUID) -> None:
    """Hands a client-driven run to scoring once every case is in."""
    async with database.connection() as connection:
        if await recordings.awaits(connection, run_id):
            return
    await retrying(lambda: _submit(database, run_id))


async def close(database: Database, workspace: UUID, run_id: UUID) -> Run:
    """Ends the waiting: cases that weren't recorded are errors. A run that is complete already is left as it is. Raises NotFound."""

    async def end() -> Run:
        async with database.transaction() as connection:
            run = await runs.lock(connection, workspace, run_id)
            if not run.client_driven:
                raise NotFound("run")
            if run.state == RUNNING:
                await recordings.give_up(connection, run_id, NOT_RECORDED)
            return run

    run = await retrying(end)
    await submit_if_complete(database, run_id)
    return run


async def _submit(database: Database, run_id: UUID) -> None:
    async with database.transaction() as connection:
        run = await runs.lock_running(connection, run_id)
        if run is None or not run.client_driven or await recordings.awaits(connection, run_id):
            return
        # Slices bound the memory; one transaction, so that a run is handed over as a whole.
        while executed := await recordings.submit_slice(connection, run_id, SLICE):
            events = convert.cases_executed(run, executed)
            await outbox.append(connection, [Event(CASES_EXECUTED, event) for event in events])


async def unsubmitted(database: Database) -> list[UUID]:
    """Runs whose every case is in, and that were not handed over: their process died in between."""
    async with database.connection() as connection:
        return await recordings.unsubmitted(connection)


async def case_ids(database: Database, run_id: UUID) -> list[UUID]:
    """The cases of a run, in order."""
    async with database.connection() as connection:
        return await cases.ids(connection, run_id)
