"""Conversations by workers on real Postgres and NATS: each takes effect once, and begins anew where its worker died."""

import pytest

from services.runner.entities import Run
from services.runner.operations.runs import cancel_run, close_unexecuted
from services.runner.worker import CANCELLED_SUBJECT
from tests.services.runner.endpoint import Answer, chat
from tests.services.runner.house import OURS, expire, expire_tickets, rows, states
from tests.services.runner.shop import Shop, deafen_renewals, ended
from tests.shared.waiting import until


async def a_conversation(shop: Shop, cases: int = 1) -> Run:
    plan = {"simulation": {"script": ["one", "two", "three"], "max_turns": 3}}
    return await shop.run(cases, mode="conversation", family="assistant_test", plan=plan)


async def test_conversations_are_held_side_by_side(shop: Shop) -> None:
    run = await a_conversation(shop, 12)
    await shop.a_worker()
    await shop.a_worker()
    await shop.until_executed(run)
    assert len(shop.there.asked) == 36
    found = await rows(shop.database, "SELECT jsonb_array_length(record->'transcript') AS messages, attempts FROM run_cases")
    assert [tuple(row) for row in found] == [(6, 3)] * 12


async def test_a_conversation_begins_anew_when_its_worker_died(shop: Shop) -> None:
    shop.there.says(chat("first"), Answer(chat("never heard"), seconds=30), chat("again"))
    run = await a_conversation(shop)
    worker, task = await shop.a_worker()
    await until(lambda: len(shop.there.asked) == 2)
    worker._held.clear()  # as if killed: nothing is given back
    await ended(task)
    await expire(shop.database, run)
    await expire_tickets(shop.database)
    await shop.a_worker()
    await shop.until_executed(run)
    [row] = await rows(shop.database, "SELECT record, fence FROM run_cases")
    assert [message["content"] for message in row["record"]["transcript"]] == ["one", "again", "two", "again", "three", "again"]
    assert row["fence"] == 2


async def test_a_cancel_ends_a_conversation_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    deafen_renewals(monkeypatch)
    shop.there.says(chat("hello"), Answer(chat("slow"), seconds=30))
    worker, _ = await shop.a_worker()
    run = await a_conversation(shop)
    await until(lambda: len(shop.there.asked) == 2)
    await cancel_run(shop.database, OURS, run.id)
    await shop.broker.client.publish(CANCELLED_SUBJECT, str(run.id).encode())
    await close_unexecuted(shop.database, run.id)
    await until(lambda: not worker._held)
    assert await states(shop.database, run) == ["cancelled"]
