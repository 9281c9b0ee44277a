"""Closing runs: the final state is read only once the last expected result can be."""

from collections.abc import Iterable

from services.reporting.entities.runs import Run
from services.reporting.store import events, runs
from shared.postgres import Connection, Database

AT_ONCE = 50


async def close_where_due(connection: Connection, locked: Iterable[Run]) -> None:
    """Writes runs that the caller has locked and changed, and closes those whose last expected result is here."""
    open_runs = [run for run in locked if not run.closed]
    closing = [run.closing() for run in open_runs if run.is_due]
    await runs.save(connection, [run for run in open_runs if not run.is_due] + closing)
    for run in closing:
        await events.close(connection, run)


async def close_waiting(database: Database) -> list[Run]:
    """Closes runs that ended and have all their results. None waits so by our own doing: this is the net."""
    async with database.transaction() as connection:
        waiting = await runs.lock_told_final(connection, AT_ONCE)
        await close_where_due(connection, waiting)
    return waiting
