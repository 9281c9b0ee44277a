"""A worker's life on real Postgres and NATS: what it holds it keeps, and what it lets go of comes to others."""

import asyncio
from datetime import timedelta

import pytest

from assay.runner.internal.v1 import events_pb2
from services.runner import worker as working
from services.runner.execution import return_orders
from services.runner.operations import execution
from services.runner.operations.completion import Completion
from services.runner.operations.runs import cancel_run, close_unexecuted
from services.runner.orders import Held, read_order
from services.runner.reconciler import Reconciler
from services.runner.worker import CANCELLED_SUBJECT, DURABLE
from shared.postgres import Database, open_pool
from shared.puller import Puller
from shared.topics import TICKETS
from tests.services.runner.endpoint import Answer, chat
from tests.services.runner.house import (
    OURS,
    a_target,
    answered,
    claim,
    expire_tickets,
    rows,
    state,
    states,
)
from tests.services.runner.shop import LEASE, Shop, deafen_renewals, ended
from tests.shared.waiting import until


async def test_calls_under_way_when_a_worker_ends_are_written_and_nothing_is_asked_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "FINISH_SECONDS", 30)
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
    shop.there.says(Answer(chat("x"), seconds=4.0), chat("x"))
    _, task = await shop.a_worker()
    run = await shop.run(4, mode="scenario")
    await until(lambda: bool(shop.there.asked))
    await ended(task)
    assert await states(shop.database, run) == ["executed", "queued", "queued", "queued"]
    await shop.a_worker()
    await shop.until_executed(run, within=LEASE.total_seconds() * 2)
    assert len(shop.there.asked) == 4


async def test_a_worker_that_ends_gives_back_what_takes_too_long(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "FINISH_SECONDS", 0.3)
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
    monkeypatch.setattr(working, "FINISH_SECONDS", 0.2)
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
    worker._execution._together._lease = timedelta(seconds=20)
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
    await return_orders(held.orders, 0.5)
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


async def test_a_cancel_ends_calls_that_are_in_flight(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    deafen_renewals(monkeypatch)
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


async def test_what_is_no_ticket_stops_no_worker(shop: Shop) -> None:
    for payload in (b"\xff\xff", b"", events_pb2.Ticket(run_id="x").SerializeToString()):
        await shop.broker.publish(TICKETS, payload, {})
    await shop.a_worker()
    run = await shop.run(5)
    await shop.until_executed(run)

    async def empty() -> bool:
        return await shop.in_queue() == 0

    await until(empty)
