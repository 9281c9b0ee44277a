"""Client-driven runs: the client executes the cases and records what came out; the last one in hands all to scoring.

No tickets, no leases: a recording overwrites its case until every case is in, or the run is closed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from uuid import UUID

from services.runner import convert
from services.runner.entities import RUNNING, Run
from services.runner.store import cases, recordings, runs
from services.runner.subjects import Recording
from shared import outbox
from shared.coalesce import Coalescer
from shared.errors import DomainError, NotFound, WrongState
from shared.outbox import Event
from shared.portions import portions
from shared.postgres import Connection, Database, retrying
from shared.topics import CASES_EXECUTED

SLICE = 50
# Of texts that are read at a time; more only if a single case has more.
PORTION_BYTES = 4 << 20
MOST_AT_ONCE = 64
NOT_RECORDED = "no output was recorded before the run was closed"

Said = tuple[UUID, Recording]  # of the case with this id


@dataclass(frozen=True)
class Whose:
    """A run as its path names it: in a workspace, of a family and a group."""

    workspace: UUID
    family: str
    group_key: str
    run_id: UUID


class Recorder:
    """Keeps what clients say of cases, over what they said before; with the last case of a run, hands all to scoring.

    Many connections record one run: what comes at the same time shares a transaction and one look for the last case.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._coming: dict[Whose, Coalescer[Said, DomainError | None]] = {}

    async def record(self, whose: Whose, case_id: UUID, said: Recording) -> None:
        """Raises NotFound for the run or the case, WrongState once the run is complete."""
        coming = self._coming.setdefault(whose, Coalescer(partial(self._record, whose), MOST_AT_ONCE))
        refusal = await coming.do((case_id, said))
        if refusal is not None:
            raise refusal

    async def _record(self, whose: Whose, said: Sequence[Said]) -> Sequence[DomainError | None]:
        async def write() -> Sequence[DomainError | None]:
            async with self._database.transaction() as connection:
                return await _write(connection, whose, said)

        try:
            refusals = await retrying(write)
            await submit_if_complete(self._database, whose.run_id)
        finally:
            # Left to the batch, and not to its callers: they may all be gone by now. Soon, for the batch has not ended yet.
            asyncio.get_running_loop().call_soon(self._forget, whose)
        return refusals

    def _forget(self, whose: Whose) -> None:
        coming = self._coming.get(whose)
        if coming is not None and coming.idle:
            del self._coming[whose]


async def _write(connection: Connection, whose: Whose, said: Sequence[Said]) -> Sequence[DomainError | None]:
    """Why each was refused; None for what was kept."""
    run = await runs.get(connection, whose.workspace, whose.run_id)
    if (run.family, run.group_key, run.client_driven) != (whose.family, whose.group_key, True):
        raise NotFound("run")
    found = await recordings.lock_cases(connection, run.id, [case_id for case_id, _ in said])
    still = {case_id: ord_ for case_id, (ord_, queued) in found.items() if queued and run.state == RUNNING}
    # Of two for one case the last one counts.
    await recordings.record_all(connection, run.id, {still[case_id]: recording for case_id, recording in said if case_id in still})
    # Of a run that ended the cases may be gone: whichever case it is, nothing can be recorded any more.
    return [_refusal(run, known=run.final or case_id in found, kept=case_id in still) for case_id, _ in said]


def _refusal(run: Run, *, known: bool, kept: bool) -> DomainError | None:
    if kept:
        return None
    return WrongState("the run is complete: nothing more can be recorded", state=run.state) if known else NotFound("test case")


async def submit_if_complete(database: Database, run_id: UUID) -> None:
    """Hands a client-driven run to scoring once every case is in; none is ever awaited again."""
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
        if run is None or not run.client_driven:
            return
        # Portions bound the memory; one transaction, so that a run is handed over as a whole.
        first = 0
        while sizes := await recordings.sizes(connection, run_id, first, SLICE):
            for portion in portions(sizes, itemgetter(1), PORTION_BYTES):
                executed = await recordings.submit(connection, run_id, [ord_ for ord_, _ in portion])
                events = convert.cases_executed(run, executed)
                await outbox.append(connection, [Event(CASES_EXECUTED, event) for event in events])
            first = sizes[-1][0] + 1


async def unsubmitted(database: Database) -> list[UUID]:
    """Runs whose every case is in, and that were not handed over: their process died in between."""
    async with database.connection() as connection:
        return await recordings.unsubmitted(connection)


async def case_ids(database: Database, run_id: UUID) -> list[UUID]:
    """The cases of a run, in order."""
    async with database.connection() as connection:
        return await cases.ids(connection, run_id)
