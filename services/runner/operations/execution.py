"""Claim, effect, give back: the transactions around the calls to a target, never across one."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from prometheus_client import Counter

from services.runner import convert
from services.runner.entities import ClaimedCase, Executed, Range, Run, Ticket, Turn
from services.runner.store import cases, leases, runs
from shared import outbox
from shared.outbox import Event
from shared.postgres import Database, retrying
from shared.topics import CASES_EXECUTED

EXECUTED = Counter("assay_cases_executed", "Cases that this process executed, errors included.")


async def claim(database: Database, run_id: UUID, ranges: Sequence[Range], lease: timedelta) -> tuple[Run | None, list[ClaimedCase]]:
    """Takes what may be taken of these ranges. The run is None if it is gone; no case if none is due."""

    async def take() -> tuple[Run | None, list[ClaimedCase]]:
        async with database.transaction() as connection:
            claimed = await leases.claim(connection, run_id, ranges, lease)
            return await runs.find(connection, run_id), claimed

    return await retrying(take)


async def record(database: Database, run: Run, executed: Sequence[Executed]) -> set[int]:
    """Writes what became of claimed cases, and tells scoring; returns the ords that took effect.

    The fence comes first: a stale worker's output must neither be stored nor published.
    """

    async def write() -> set[int]:
        async with database.transaction() as connection:
            held = await cases.execute(connection, run.id, executed)
            if held:
                events = convert.cases_executed(run, [each for each in executed if each.case.ord in held])
                await outbox.append(connection, [Event(CASES_EXECUTED, event) for event in events])
            return held

    held = await retrying(write)
    EXECUTED.inc(len(held))
    return held


async def open_ords(database: Database, run_id: UUID, ranges: Sequence[Range]) -> list[int]:
    """The cases of these ranges that are neither executed nor closed: their tickets must not be acknowledged."""
    async with database.connection() as connection:
        return await cases.unexecuted(connection, run_id, ranges)


async def renew(database: Database, run_id: UUID, fences: Mapping[int, int], lease: timedelta) -> set[int]:
    """Extends the leases of a run's cases, given as ord → fence; returns the ords of those that still hold."""
    async with database.transaction() as connection:
        return await leases.renew(connection, run_id, fences, lease)


async def give_back(database: Database, run_id: UUID, fences: Mapping[int, int]) -> None:
    """Queues again what won't be executed here."""
    async with database.transaction() as connection:
        await leases.give_back(connection, run_id, fences)


async def earlier_turns(database: Database, run: Run, first: ClaimedCase) -> list[Turn]:
    """The turns of this case's conversation that were executed before."""
    start = (first.repeat - 1) * run.case_count
    async with database.connection() as connection:
        return await cases.turns(connection, run.id, Range(start, first.ord - 1))


async def blame(database: Database, ticket: Ticket, lease: timedelta) -> None:
    """Closes cases that brought their worker down, alone, five times: as errors, by the one way that errors have."""
    async with database.transaction() as connection:
        blamed = await leases.claim_blamed(connection, ticket.run_id, ticket.range, lease)
        run = await runs.find(connection, ticket.run_id)
    if run is not None and blamed:
        reason = "the worker died each time it executed this case"
        await record(database, run, [Executed(case, error=reason) for case in blamed])
