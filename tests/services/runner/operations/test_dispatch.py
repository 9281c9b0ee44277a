"""Tickets: windows fill, finished ones make room, lost ones are issued again."""

import asyncio

import pytest

from services.runner.entities import Range, Run, Ticket
from services.runner.operations import dispatch, execution
from services.runner.operations.runs import cancel_run
from shared.postgres import Database
from tests.services.runner.house import LEASE, OURS, a_target, answered, claim, expire, expire_tickets, rows, running, said, tickets_out

TICKETS = "runner.tickets"


async def messages(database: Database) -> list[tuple[int, int, int, int]]:
    """(number, first ord, last ord, epoch) of the messages that were issued."""
    return [(each.number, each.first_ord, each.last_ord, each.epoch) for each in await said(database, TICKETS)]


async def called(database: Database, cases: int = 20, slots: int = 4, repeats: int = 1) -> Run:
    """A running run whose tickets cover one case each, eight at a time."""
    return await running(database, cases, repeats, slots=slots, target=a_target(kind="openai"))


async def execute(database: Database, run: Run, first: int, last: int) -> None:
    await execution.record(database, run, answered(await claim(database, run, first, last)))


async def test_the_first_window_is_issued_with_its_messages(database: Database) -> None:
    run = await called(database)
    assert await tickets_out(database, run) == [(each, each, 1) for each in range(8)]
    assert await messages(database) == [(each + 1, each, each, 1) for each in range(8)]
    [first, *_] = await said(database, TICKETS)
    assert (first.run_id, first.connection_id, first.at_once) == (str(run.id), str(run.target.connection_id), False)


async def test_a_finished_ticket_makes_room_for_the_next(database: Database) -> None:
    run = await called(database)
    await execute(database, run, 0, 1)
    await dispatch.finish_tickets(database, run.id, [1, 2])
    assert await tickets_out(database, run) == [(each, each, 1) for each in range(2, 10)]
    assert (await messages(database))[8:] == [(9, 8, 8, 1), (10, 9, 9, 1)]


async def test_a_ticket_with_an_open_case_is_not_finished_by_those_who_only_find_it(database: Database) -> None:
    run = await called(database)
    await claim(database, run, 0, 0)
    for number in (1, 2):
        await dispatch.finish_if_done(database, Ticket(run.id, number, Range(number - 1, number - 1)))
    assert len(await tickets_out(database, run)) == len(await messages(database)) == 8


async def test_a_ticket_finished_by_many_at_once_makes_room_once(database: Database) -> None:
    run = await called(database)
    await execute(database, run, 0, 3)
    await asyncio.gather(*(dispatch.finish_tickets(database, run.id, [1, 2, 3, 4]) for _ in range(10)))
    assert await tickets_out(database, run) == [(each, each, 1) for each in range(4, 12)]
    assert len(await messages(database)) == 12


@pytest.mark.parametrize("repeats", [1, 3])
async def test_finishing_goes_on_to_the_last_case(database: Database, repeats: int) -> None:
    run = await called(database, 10, repeats=repeats)
    while out := await tickets_out(database, run):
        numbers = [row["number"] for row in await rows(database, "SELECT number FROM tickets ORDER BY number LIMIT 3")]
        await execute(database, run, out[0][0], out[min(2, len(out) - 1)][1])
        await dispatch.finish_tickets(database, run.id, numbers)
    assert [(first, last) for _, first, last, _ in await messages(database)] == [(each, each) for each in range(10 * repeats)]


async def test_nothing_is_issued_for_a_run_that_is_being_cancelled(database: Database) -> None:
    run = await called(database)
    await execute(database, run, 0, 3)
    await cancel_run(database, OURS, run.id)
    await dispatch.finish_tickets(database, run.id, [1, 2, 3, 4])
    assert len(await messages(database)) == 8


async def test_what_nobody_works_on_is_issued_again_under_a_new_epoch(database: Database) -> None:
    run = await called(database, 3)
    await claim(database, run, 1, 1)
    await expire_tickets(database)
    assert sorted(ticket.number for ticket in await dispatch.reissue_overdue(database)) == [1, 3]
    assert sorted((await messages(database))[3:]) == [(1, 0, 0, 2), (3, 2, 2, 2)]
    assert await dispatch.reissue_overdue(database) == []


@pytest.mark.parametrize(("epoch", "wait"), [(1, 15), (2, 30), (3, 60), (6, 480), (7, 600), (30, 600)])
async def test_each_time_twice_as_long_is_waited(database: Database, epoch: int, wait: int) -> None:
    await called(database, 1)
    for age, due in ((wait - 2, 0), (wait + 2, 1)):
        async with database.transaction() as connection:
            await connection.execute("UPDATE tickets SET epoch = $1, issued_at = now() - make_interval(secs => $2)", epoch, float(age))
        assert len(await dispatch.reissue_overdue(database)) == due


async def test_two_that_issue_again_at_once_issue_once(database: Database) -> None:
    await called(database, 8)
    await expire_tickets(database)
    await asyncio.gather(*(dispatch.reissue_overdue(database) for _ in range(6)))
    assert len(await messages(database)) == 16


async def test_an_expired_lease_is_nobody_at_work(database: Database) -> None:
    run = await called(database, 1)
    await claim(database, run)
    await expire_tickets(database)
    assert await dispatch.reissue_overdue(database) == []
    await expire(database, run)
    assert len(await dispatch.reissue_overdue(database)) == 1


async def _expire_often(database: Database, run: Run, times: int) -> None:
    for _ in range(times):
        await claim(database, run)
        await expire(database, run)
    await claim(database, run)
    await expire(database, run)
    await expire_tickets(database)


async def test_after_two_expiries_a_ticket_goes_out_as_tickets_of_one(database: Database) -> None:
    run = await running(database, 5)
    assert await tickets_out(database, run) == [(0, 4, 1)]
    await _expire_often(database, run, 1)
    await dispatch.reissue_overdue(database)
    assert await tickets_out(database, run) == [(0, 4, 2)]
    await execute(database, run, 1, 1)
    await _expire_often(database, run, 1)
    await dispatch.reissue_overdue(database)
    assert await tickets_out(database, run) == [(each, each, 1) for each in (0, 2, 3, 4)]
    numbers = [number for number, *_ in await messages(database)]
    assert len(set(numbers)) == 5  # of six messages the first two told of one ticket


async def test_a_conversation_is_never_split(database: Database) -> None:
    run = await running(database, 5, mode="scenario")
    await _expire_often(database, run, 3)
    await dispatch.reissue_overdue(database)
    assert await tickets_out(database, run) == [(0, 4, 2)]


async def test_tickets_of_runs_that_ended_or_are_gone_are_dropped(database: Database) -> None:
    ended, gone = await called(database, 2), await called(database, 2)
    async with database.transaction() as connection:
        await connection.execute("UPDATE runs SET state = 'completed' WHERE id = $1", ended.id)
        await connection.execute("DELETE FROM runs WHERE id = $1", gone.id)
    await expire_tickets(database)
    await dispatch.reissue_overdue(database)
    assert await rows(database, "SELECT 1 FROM tickets") == []
    assert len(await messages(database)) == 4


async def test_a_ticket_whose_worker_died_after_its_effect_is_finished(database: Database) -> None:
    run = await called(database, 20)
    await execute(database, run, 0, 0)
    await expire_tickets(database)
    done = next(ticket for ticket in await dispatch.reissue_overdue(database) if ticket.number == 1)
    assert (await tickets_out(database, run))[0] == (0, 0, 1)
    await dispatch.finish_if_done(database, done)
    assert (await tickets_out(database, run))[-1] == (8, 8, 1)
    await dispatch.finish_if_done(database, Ticket(run.id, 2, Range(1, 1)))
    assert (await tickets_out(database, run))[0][:2] == (1, 1)


async def test_a_case_that_kills_its_worker_ends_as_an_error_and_its_neighbours_do_not(database: Database) -> None:
    run = await running(database, 4)

    async def work() -> None:
        """A worker that takes whatever is out, and dies of case 2 before anything of its ticket is written."""
        for first, last, _ in await tickets_out(database, run):
            claimed = await claim(database, run, first, last)
            if all(case.ord != 2 for case in claimed):
                await execution.record(database, run, answered(claimed))

    for _ in range(12):
        await work()
        await expire(database, run)
        await expire_tickets(database)
        for ticket in await dispatch.reissue_overdue(database):
            await execution.blame(database, ticket, LEASE)
            await dispatch.finish_if_done(database, ticket)
    found = await rows(database, "SELECT state, error FROM run_cases ORDER BY ord")
    assert [(row["state"], bool(row["error"])) for row in found] == [("executed", place == 2) for place in range(4)]
    assert await tickets_out(database, run) == []
