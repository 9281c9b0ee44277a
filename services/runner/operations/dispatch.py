"""Tickets: which cases are out for execution, and which come next."""

from collections.abc import Sequence
from uuid import UUID

from services.runner import convert
from services.runner.entities import EXPIRIES_BEFORE_ALONE, SCENARIO, Range, Run, Ticket
from services.runner.store import cases, leases, runs, tickets
from shared import outbox
from shared.outbox import Event
from shared.postgres import Connection, Database, retrying
from shared.topics import RUN_STARTED, TICKETS

OVERDUE_AT_ONCE = 200


async def fill_window(connection: Connection, run_id: UUID, done: Sequence[int] = ()) -> None:
    """Takes off tickets whose every case was executed, and issues the next, as many as the run's window allows.

    Nothing unless it is running.
    """
    run = await runs.lock_running(connection, run_id)
    if run is None or run.client_driven:
        return
    out = await tickets.delete_done(connection, run_id, done)
    ranges = run.windows(out)
    if not ranges:
        return
    issued = [Ticket(run_id, run.next_ticket + index, range_) for index, range_ in enumerate(ranges)]
    await tickets.insert(connection, issued)
    await _publish(connection, run, issued)
    await runs.advance(connection, run_id, ranges[-1].last + 1, run.next_ticket + len(issued))


async def outstanding(database: Database) -> int:
    """How many tickets are out, of all runs."""
    async with database.connection() as connection:
        return await tickets.count(connection)


async def finish_tickets(database: Database, run_id: UUID, numbers: Sequence[int]) -> None:
    """After the effect: the tickets whose every case was executed make room for the next ones."""

    async def finish() -> None:
        async with database.transaction() as connection:
            await fill_window(connection, run_id, numbers)

    await retrying(finish)


async def finish_if_done(database: Database, ticket: Ticket) -> None:
    """Finishes a ticket whose worker died between its effect and this."""
    async with database.connection() as connection:
        open_ = await cases.unexecuted(connection, ticket.run_id, [ticket.range])
    if not open_:
        await finish_tickets(database, ticket.run_id, [ticket.number])


async def reissue_overdue(database: Database) -> list[Ticket]:
    """Issues again what nobody works on, in a new epoch: its message was lost, or its worker died. Returns these tickets."""
    async with database.transaction() as connection:
        overdue = await tickets.overdue(connection, OVERDUE_AT_ONCE)
        for ticket in overdue:
            await _reissue(connection, ticket)
        return overdue


async def _reissue(connection: Connection, ticket: Ticket) -> None:
    # Plain read: the state can only move towards the end, and a ticket too many claims nothing.
    run = await runs.find(connection, ticket.run_id)
    if run is None or run.state != "running":
        await tickets.delete_one(connection, ticket)
        return
    if not await cases.unexecuted(connection, run.id, [ticket.range]):
        return  # done: finishing it is not ours to do under these locks
    worn = await leases.expiries(connection, run.id, ticket.range)
    single = ticket.range.first == ticket.range.last
    if worn >= EXPIRIES_BEFORE_ALONE and not single and run.mode != SCENARIO:
        await _split(connection, run, ticket)
        return
    await tickets.reissue(connection, ticket)
    again = Ticket(ticket.run_id, ticket.number, ticket.range, ticket.epoch + 1)
    await _publish(connection, run, [again])


async def _split(connection: Connection, run: Run, ticket: Ticket) -> None:
    """One ticket per case: a case that brings its worker down must not take its neighbours along."""
    locked = await runs.lock_running(connection, run.id)
    if locked is None:
        return
    open_ = await cases.unexecuted(connection, run.id, [ticket.range])
    single = [Ticket(run.id, locked.next_ticket + index, Range(ord_, ord_)) for index, ord_ in enumerate(open_)]
    await tickets.delete_one(connection, ticket)
    await tickets.insert(connection, single)
    await _publish(connection, run, single)
    await runs.advance(connection, run.id, locked.next_ord, locked.next_ticket + len(single))


async def _publish(connection: Connection, run: Run, issued: Sequence[Ticket]) -> None:
    # Tickets follow from the start of their run: named by the tickets before them, they would be an ever deeper chain.
    trace = await outbox.trace_of(connection, RUN_STARTED, f"started:{run.id}")
    await outbox.append(connection, [Event(TICKETS, convert.ticket(run, ticket, trace)) for ticket in issued])
