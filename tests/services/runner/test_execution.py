"""The worker on real Postgres and NATS: every case is executed once, whatever happens to workers meanwhile."""

import asyncio
import contextlib
from datetime import timedelta

import pytest

from assay.runner.internal.v1 import events_pb2
from services.runner import execution as executing
from services.runner.entities import Range
from services.runner.execution import CANCELLED_SUBJECT, DURABLE
from services.runner.operations import execution
from services.runner.operations.completion import Completion
from services.runner.operations.runs import cancel_run, close_unexecuted
from services.runner.orders import Held, read_order
from services.runner.reconciler import Reconciler
from shared.postgres import Database, open_pool
from shared.puller import Puller
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
    state,
    states,
    tickets_out,
)
from tests.services.runner.shop import LEASE, Shop, ended
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


async def test_calls_under_way_when_a_worker_ends_are_written_and_nothing_is_asked_twice(shop: Shop) -> None:
    shop.there.says(Answer(chat("x"), seconds=LEASE.total_seconds() * 1.3))  # the lease must be kept until then
    _, task = await shop.a_worker()
    run = await shop.run(20)
    await shop.until_leased(run, 9)  # eight are asked, others wait for a slot
    await until(lambda: shop.there.most == 8)
    await ended(task)
    found = await states(shop.database, run)
    assert (found.count("executed"), found.count("queued"), len(shop.there.asked)) == (8, 12, 8)
    shop.there.says(chat("x"))
    await shop.a_worker()
    await shop.until_executed(run, within=LEASE.total_seconds())
    assert len(shop.there.asked) == 20
    assert {row["expiries"] for row in await rows(shop.database, "SELECT expiries FROM run_cases")} == {0}


async def test_a_conversation_goes_on_elsewhere_after_the_turn_that_was_under_way(shop: Shop) -> None:
    shop.there.says(Answer(chat("x"), seconds=0.5))
    _, task = await shop.a_worker()
    run = await shop.run(4, mode="scenario")
    await until(lambda: bool(shop.there.asked))
    await ended(task)
    assert await states(shop.database, run) == ["executed", "queued", "queued", "queued"]
    await shop.a_worker()
    await shop.until_executed(run, within=LEASE.total_seconds() * 2)
    assert len(shop.there.asked) == 4


async def test_a_worker_that_ends_gives_back_what_takes_too_long(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executing, "FINISH_SECONDS", 0.3)
    shop.there.says(Answer(chat("x"), seconds=30))
    _, task = await shop.a_worker()
    run = await shop.run(10)
    await shop.until_leased(run, 4)
    await ended(task)
    assert "leased" not in await states(shop.database, run)
    shop.there.says(chat("x"))
    await shop.a_worker()
    await shop.until_executed(run, within=LEASE.total_seconds() * 2)
    found = await rows(shop.database, "SELECT sum(expiries) AS expiries FROM run_cases")
    assert found[0]["expiries"] == 0


async def test_tickets_are_returned_at_the_end_though_postgres_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executing, "FINISH_SECONDS", 0.2)
    shop.there.says(Answer(chat("x"), seconds=30))
    shop.database = Database(await open_pool(shop.url, 4))
    _, worker = await shop.a_worker()
    await shop.run(1)
    await until(lambda: shop.there.at_once == 1)
    returned = await shop.broker.client.subscribe(f"$JS.ACK.{TICKETS.stream}.{DURABLE}.>")
    await shop.broker.client.flush()
    await shop.database.close()
    await ended(worker)
    said = [await returned.next_msg(5)]
    while not said[-1].data.startswith(b"-NAK"):
        said.append(await returned.next_msg(5))


async def test_long_calls_keep_their_leases(shop: Shop) -> None:
    shop.there.says(Answer(chat("x"), seconds=LEASE.total_seconds() * 1.7))
    await shop.a_worker()
    await shop.a_worker()
    run = await shop.run(4)
    await shop.until_executed(run)
    assert len(shop.there.asked) == 4
    assert {row["fence"] for row in await rows(shop.database, "SELECT fence FROM run_cases")} == {1}


async def test_a_worker_that_slept_past_its_lease_writes_nothing_stale(shop: Shop) -> None:
    shop.there.says(Answer(chat("stale"), seconds=1.5))
    worker, _ = await shop.a_worker()
    run = await shop.run(6)
    await shop.until_leased(run, 6)
    await expire(shop.database, run)  # as if it had been stopped for longer than its lease
    fresh = await claim(shop.database, run, 0, 3)
    await execution.record(shop.database, run, answered(fresh[:2], "fresh"))

    async def called() -> bool:
        return not any(held.fences for held in worker._held)

    await until(called)
    found = [row["output"] for row in await rows(shop.database, "SELECT output FROM run_cases ORDER BY ord")]
    assert found[:4] == ["fresh", "fresh", None, None]
    assert (2, 3, 1) in await tickets_out(shop.database, run)  # not finished, not acknowledged
    await execution.record(shop.database, run, answered(fresh[2:], "fresh"))
    await shop.until_executed(run)


async def test_a_renewal_under_way_ends_no_work_that_began_since(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # Renewals all the time, and slow: each is under way while tickets are claimed and written.
    slow = execution.renew

    async def renew(*arguments: object) -> set[int]:
        # Rows keep a long lease: only what the worker makes of a slow renewal is looked at.
        kept = await slow(*arguments[:-1], timedelta(seconds=20))  # type: ignore[arg-type, call-arg]
        await asyncio.sleep(0.1)
        return kept

    monkeypatch.setattr(execution, "renew", renew)
    shop.there.says(Answer(chat("x"), seconds=0.05))
    worker, _ = await shop.a_worker()
    worker._lease = timedelta(seconds=0.15)
    worker._together._lease = timedelta(seconds=20)
    run = await shop.run(120)
    await shop.until_executed(run)
    assert len(shop.there.asked) == 120
    assert {row["fence"] for row in await rows(shop.database, "SELECT fence FROM run_cases")} == {1}


async def test_a_renewal_that_finds_an_effect_just_written_ends_no_work(shop: Shop) -> None:
    worker, task = await shop.a_worker()
    await ended(task)
    run = await shop.run(2, target=a_target(connection_id=OURS))
    settling = asyncio.create_task(asyncio.sleep(30))
    lost = asyncio.create_task(asyncio.sleep(30))
    written = await claim(shop.database, run)
    await execution.record(shop.database, run, answered(written))
    fences = {case.ord: case.fence for case in written}
    await worker._renew_held(Held([], run.id, dict(fences), writing=set(fences), task=settling))  # about to hear that it was written
    await worker._renew_held(Held([], run.id, dict(fences), task=lost))
    await asyncio.sleep(0)
    assert (settling.cancelled(), lost.cancelled()) == (False, True)
    settling.cancel()


async def test_a_ticket_that_is_returned_is_not_held_back_by_a_renewal_of_that_moment(shop: Shop) -> None:
    worker, task = await shop.a_worker()
    await ended(task)
    run = await shop.run(2)
    puller = Puller(shop.broker, TICKETS, DURABLE, 60)
    order = read_order((await puller.fetch(1, 5))[0])
    assert order is not None
    held = Held([order], run.id)
    await worker._nak(held.orders, 0.5)
    await worker._keep_orders(held)
    assert [read_order(message) for message in await puller.fetch(1, 5)]
    await puller.give_back()


@pytest.mark.parametrize("mode", ["scenario", "independent"])
async def test_a_run_of_few_slots_goes_on_beside_one_that_holds_many(shop: Shop, mode: str) -> None:
    shop.there.says(*[Answer(chat("late"), seconds=60)] * 4, chat("hello"))
    await shop.a_worker()
    large = await shop.run(40, slots=4)
    await until(lambda: shop.there.at_once == 4)
    small = await shop.run(3, slots=1, mode=mode, target=large.target)
    await shop.until_executed(small)
    assert set(await states(shop.database, large)) == {"queued", "leased"}


async def test_a_cancel_ends_calls_that_are_in_flight(shop: Shop) -> None:
    shop.there.says(Answer(chat("x"), seconds=30))
    worker, _ = await shop.a_worker()
    run = await shop.run(10)
    await shop.until_leased(run, 4)
    await cancel_run(shop.database, OURS, run.id)
    await shop.broker.client.publish(CANCELLED_SUBJECT, str(run.id).encode())
    await close_unexecuted(shop.database, run.id)
    await until(lambda: not worker._held)
    assert set(await states(shop.database, run)) == {"cancelled"}
    assert await Completion(shop.database).complete(run.id)


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


async def test_tickets_that_nats_lost_are_issued_again(shop: Shop) -> None:
    run = await shop.run(10)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(shop.nats.wipe)
    await shop.a_worker()
    await asyncio.sleep(0.5)
    await expire_tickets(shop.database)
    completion = Completion(shop.database)
    await Reconciler(shop.database, shop.asked.catalog, completion, LEASE).tickets()
    await shop.until_executed(run)
    assert await state(shop.database, run) == "running"


async def test_a_ticket_that_waits_for_long_waits_as_one_message(shop: Shop) -> None:
    shop.there.says(Answer(chat("late"), seconds=60))
    await shop.a_worker()
    large = await shop.run(16)
    await shop.until_leased(large, 16)
    waiting = await shop.run(8, target=large.target)
    reconciler = Reconciler(shop.database, shop.asked.catalog, Completion(shop.database), LEASE)
    for _ in range(2):
        await expire_tickets(shop.database)
        await reconciler.tickets()

    async def one_each() -> bool:
        async with shop.database.connection() as connection:
            tickets: int = await connection.fetchval("SELECT count(*) FROM tickets")
            return await shop.in_queue() == tickets

    async def issued_again() -> bool:
        async with shop.database.connection() as connection:
            again = "SELECT min(epoch) FROM tickets WHERE run_id = $1"
            told = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
            return (await connection.fetchval(again, waiting.id), await connection.fetchval(told)) == (3, 0)

    await until(issued_again)
    await until(one_each)


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


async def test_what_is_no_ticket_stops_no_worker(shop: Shop) -> None:
    for payload in (b"\xff\xff", b"", events_pb2.Ticket(run_id="x").SerializeToString()):
        await shop.broker.publish(TICKETS, payload, {})
    await shop.a_worker()
    run = await shop.run(5)
    await shop.until_executed(run)

    async def empty() -> bool:
        return await shop.in_queue() == 0

    await until(empty)


async def test_a_ticket_of_a_deleted_run_is_put_aside(shop: Shop) -> None:
    message = events_pb2.Ticket(run_id=str(OURS), connection_id=str(OURS), number=1, last_ord=9, at_once=True)
    await shop.broker.publish(TICKETS, message.SerializeToString(), {})
    await shop.a_worker()

    async def empty() -> bool:
        return await shop.in_queue() == 0

    await until(empty)
    assert (await execution.claim(shop.database, OURS, [Range(0, 9)], LEASE))[0] is None
