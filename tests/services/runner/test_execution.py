"""Executing on real Postgres and NATS: every case is executed once, and written once, whatever happens meanwhile."""

import asyncio
import contextlib

import pytest

from assay.runner.internal.v1 import events_pb2
from services.runner.entities import Range
from services.runner.operations import execution
from services.runner.operations.completion import Completion
from services.runner.reconciler import Reconciler
from shared.postgres import Database, open_pool
from shared.topics import TICKETS
from tests.services.runner.endpoint import Answer, chat
from tests.services.runner.house import (
    OURS,
    a_target,
    answered,
    claim,
    expire,
    expire_tickets,
    rows,
    states,
    tickets_out,
)
from tests.services.runner.shop import LEASE, Shop, deafen_renewals
from tests.shared.waiting import until


async def test_a_run_is_executed_from_its_first_ticket_to_its_last(shop: Shop) -> None:
    await shop.a_worker()
    run = await shop.run(30, repeats=2)
    await shop.until_executed(run)
    assert len(shop.there.asked) == 60
    assert shop.there.most <= 8
    assert {row["fence"] for row in await rows(shop.database, "SELECT fence FROM run_cases")} == {1}

    async def empty() -> bool:
        return await shop.in_queue() == 0

    await until(empty)


async def test_builtin_targets_are_executed_in_batches(shop: Shop) -> None:
    await shop.a_worker()
    run = await shop.run(700, target=a_target(model="echo"))
    await shop.until_executed(run)
    outputs = await rows(shop.database, "SELECT output = question AS same FROM run_cases")
    assert all(row["same"] for row in outputs)


async def test_two_workers_share_a_run_and_no_case(shop: Shop) -> None:
    shop.there.says(Answer(chat("x"), seconds=0.02))
    await shop.a_worker()
    await shop.a_worker()
    run = await shop.run(80)
    await shop.until_executed(run)
    assert len(shop.there.asked) == 80


async def test_failures_and_refusals_are_written_and_the_rest_goes_on(shop: Shop) -> None:
    shop.there.says(Answer(b"no \0", 400), 500, 500, 500, chat("fine"))
    await shop.a_worker()
    run = await shop.run(20, slots=1)
    await shop.until_executed(run)
    found = await rows(shop.database, "SELECT error, attempts FROM run_cases WHERE error IS NOT NULL ORDER BY attempts")
    assert [(row["error"], row["attempts"]) for row in found] == [("HTTP 400: no \ufffd", 1), ("HTTP 500", 3)]


async def test_a_conversation_goes_turn_by_turn_with_its_history(shop: Shop) -> None:
    await shop.a_worker()
    run = await shop.run(4, repeats=2, mode="scenario")
    await shop.until_executed(run)
    turns = [[message["content"] for message in asked["messages"]] for asked in shop.there.asked]
    assert sorted(len(each) for each in turns) == [1, 1, 3, 3, 5, 5, 7, 7]
    assert max(turns, key=len) == ["question 0", "hello", "question 1", "hello", "question 2", "hello", "question 3"]


async def test_a_failed_turn_ends_its_conversation(shop: Shop) -> None:
    shop.there.says(chat("one"), Answer(b"no", 400))
    await shop.a_worker()
    run = await shop.run(4, mode="scenario", slots=1)
    await shop.until_executed(run)
    found = await rows(shop.database, "SELECT output, error, attempts FROM run_cases ORDER BY ord")
    reason = "the conversation ended at an earlier turn: HTTP 400: no"
    assert [tuple(row) for row in found] == [("one", None, 1), (None, "HTTP 400: no", 1), (None, reason, 0), (None, reason, 0)]


async def test_a_conversation_is_taken_up_after_the_last_turn_that_was_stored(shop: Shop) -> None:
    run = await shop.run(4, mode="scenario")
    first = await claim(shop.database, run)
    await execution.record(shop.database, run, answered(first[:2], "stored"))
    await expire(shop.database, run)
    await shop.a_worker()
    await shop.until_executed(run)
    turns = [[message["content"] for message in asked["messages"]] for asked in shop.there.asked]
    assert turns[0] == ["question 0", "stored", "question 1", "stored", "question 2"]
    assert len(turns) == 2


async def test_a_worker_that_slept_past_its_lease_writes_nothing_stale(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    deafen_renewals(monkeypatch)
    shop.there.says(Answer(chat("stale"), seconds=5.0))
    worker, _ = await shop.a_worker()
    run = await shop.run(6)
    await shop.until_leased(run, 6)
    stale = set(worker._held)
    await expire(shop.database, run)  # as if it had been stopped for longer than its lease
    fresh = await claim(shop.database, run, 0, 3)
    await execution.record(shop.database, run, answered(fresh[:2], "fresh"))
    await until(lambda: not stale & worker._held)
    found = [row["output"] for row in await rows(shop.database, "SELECT output FROM run_cases ORDER BY ord")]
    assert found[:4] == ["fresh", "fresh", None, None]
    assert (2, 3, 1) in await tickets_out(shop.database, run)  # not finished, not acknowledged
    await execution.record(shop.database, run, answered(fresh[2:], "fresh"))
    await shop.until_executed(run)


async def test_postgres_may_lose_every_connection_in_mid_run(shop: Shop) -> None:
    shop.there.says(Answer(chat("x"), seconds=0.02))
    await shop.a_worker()
    run = await shop.run(100)
    other = Database(await open_pool(shop.url, 1))
    for _ in range(3):
        await asyncio.sleep(0.15)
        async with other.connection() as connection:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
            await connection.execute(query)
    await other.close()
    reconciler = Reconciler(shop.database, shop.asked.catalog, Completion(shop.database), LEASE)

    async def done() -> bool:
        with contextlib.suppress(Exception):  # what we ask with was cut off too, and a pool learns of it by asking
            await expire_tickets(shop.database)
            await reconciler.tickets()
            await asyncio.sleep(0.5)
            return set(await states(shop.database, run)) == {"executed"}
        return False

    await until(done)
    await shop.until_executed(run)


async def test_messages_of_a_ticket_that_come_often_execute_it_once(shop: Shop) -> None:
    run = await shop.run(12)
    message = events_pb2.Ticket(
        workspace_id=str(OURS),
        run_id=str(run.id),
        number=1,
        first_ord=0,
        last_ord=11,
        connection_id=str(run.target.connection_id),
        run_slots=8,
        connection_slots=8,
    )
    for _ in range(5):
        await shop.broker.publish(TICKETS, message.SerializeToString(), {})
    await shop.a_worker()
    await shop.until_executed(run)
    assert len(shop.there.asked) == 12


async def test_a_ticket_of_a_deleted_run_is_put_aside(shop: Shop) -> None:
    message = events_pb2.Ticket(run_id=str(OURS), connection_id=str(OURS), number=1, last_ord=9, at_once=True)
    await shop.broker.publish(TICKETS, message.SerializeToString(), {})
    await shop.a_worker()

    async def empty() -> bool:
        return await shop.in_queue() == 0

    await until(empty)
    assert (await execution.claim(shop.database, OURS, [Range(0, 9)], LEASE))[0] is None
