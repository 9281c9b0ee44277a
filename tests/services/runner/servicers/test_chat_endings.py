"""How calls of chat mode end: by themselves, by their client, or because it left."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import grpc
import pytest

from services.runner import calls
from services.runner.chats import ABANDONED, FAREWELL
from services.runner.dialogue import MAX_TEXT, MAX_TRANSCRIPT
from services.runner.operations import chats as operations, runs as run_operations
from shared.json_values import value
from shared.postgres import Database
from tests.services.runner.endpoint import Answer
from tests.services.runner.house import OURS, Asked, rows
from tests.services.runner.servicers.chatting import Message, Served, lines, serving_chats
from tests.services.runner.servicers.test_runs import refused
from tests.services.runner.subjects import a_conversation


@pytest.fixture
async def served(database: Database, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setattr(calls, "BACK_OFF_SECONDS", 0.02)
    async with serving_chats(database, asked) as served:
        yield served


async def test_a_model_that_fails_ends_the_call_as_an_error(served: Served) -> None:
    served.plays(Answer(b"no", 400))
    first = await served.begin(await served.a_call(instructions="You are Ann."))
    assert (first.chat_ended, lines(first)) == (True, [("assistant", FAREWELL)])
    [case] = await served.recorded()
    assert (case.error, case.record["termination_reason"]) == ("HTTP 400: no", "error")


async def test_a_chat_ends_before_the_client_would_stop_by_itself(served: Served) -> None:
    call_id = await served.a_call(*(f"line {number}" for number in range(80)))
    result, turns = await served.begin(call_id), 0
    while not result.chat_ended:
        result, turns = await served.say(call_id, f"answer {turns}"), turns + 1
    assert turns == 45
    assert (await served.recorded())[0].record["termination_reason"] == "max_turns"


async def test_a_conversation_that_grew_too_long_ends(served: Served) -> None:
    call_id = await served.a_call("a", "b", "c", "d")
    await served.begin(call_id)
    assert not (await served.say(call_id, *["x" * MAX_TEXT] * 40)).chat_ended
    calls_it = Message(role="user", tool_calls=value([{"id": "c1", "function": {"name": "look", "arguments": "{" * 150_000}}]))
    assert not (await served.say(call_id, calls_it)).chat_ended
    last = await served.say(call_id, "this is kept", *["y" * MAX_TEXT] * 5, "this is not")
    assert (last.chat_ended, len(last.input_message), lines(last)[-1]) == (True, 7, ("assistant", FAREWELL))
    [case] = await served.recorded()
    assert (case.texts_by_id, case.error) == (True, "")
    [row] = await rows(served.database, "SELECT output, error, record FROM run_cases")
    said = [message["content"] for message in row["record"]["transcript"]]
    assert ("this is kept" in said, "this is not" in said, row["error"]) == (True, False, None)
    assert row["record"]["termination_reason"] == "max_length"
    assert MAX_TRANSCRIPT - 6000 < sum(map(len, said)) + 150_000 <= MAX_TRANSCRIPT
    assert set(row["output"]) == {"y"}


async def test_a_conversation_that_took_too_long_ends(served: Served) -> None:
    call_id = await served.a_call("a", "b", max_duration_seconds=60)
    await served.begin(call_id)
    async with served.database.transaction() as connection:
        await connection.execute("UPDATE calls SET began_at = began_at - interval '1 minute'")
    assert (await served.say(call_id, "hello")).chat_ended
    assert (await served.recorded())[0].record["termination_reason"] == "max_duration"


@pytest.mark.parametrize(
    ("status", "reason", "stored"),
    [
        ("completed", "done", ("completed", "done")),
        ("COMPLETED", None, ("completed", "agent_ended")),
        ("failed", "broke", ("failed", "broke")),
        ("cancelled", None, ("failed", "the client ended the call as failed")),
    ],
)
async def test_the_client_may_end_a_call(served: Served, status: str, reason: str | None, stored: tuple[str, str]) -> None:
    call_id = await served.a_call("a", "b")
    await served.begin(call_id)
    await served.say(call_id, "hello")
    ended = await served.end(call_id, status, reason)
    assert (ended.status, ended.ended_reason) == stored
    assert await served.end(call_id, "completed", "again") == ended
    assert len(await served.recorded()) == 1


async def test_a_call_without_an_answer_is_an_error_and_an_unknown_status_is_refused(served: Served) -> None:
    call_id = await served.a_call("a")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "status"):
        await served.end(call_id, "lost")
    await served.end(call_id, "completed")
    assert (await served.recorded())[0].error == "the agent never answered"


async def test_calls_that_were_left_end_their_run(served: Served) -> None:
    started = await served.start(*(a_conversation("hi", "there") for _ in range(3)))
    talking, *_ = (await served.take(started.execution_id)).call_execution_ids
    await served.begin(talking)
    await served.say(talking, "hello")
    await operations.end_abandoned(served.database, timedelta(minutes=10))
    assert not await served.recorded()
    async with served.database.transaction() as connection:
        await connection.execute("UPDATE calls SET touched_at = now() - interval '11 minutes' WHERE id = $1", UUID(talking))
    await operations.end_abandoned(served.database, timedelta(minutes=10))
    states = await rows(served.database, "SELECT state FROM calls ORDER BY ord")
    assert [row["state"] for row in states] == ["failed", "taken", "taken"], "the others may still wait for their turn"
    async with served.database.transaction() as connection:
        await connection.execute("UPDATE calls SET touched_at = now() - interval '11 minutes'")
    await operations.end_abandoned(served.database, timedelta(minutes=10))
    assert [case.error for case in await served.recorded()] == [ABANDONED] * 3


async def test_an_abandoned_call_that_cannot_be_ended_keeps_no_other_from_it(served: Served) -> None:
    started = await served.start(*(a_conversation("hi", "there") for _ in range(5)))
    await served.take(started.execution_id)
    async with served.database.transaction() as connection:
        await connection.execute("UPDATE calls SET touched_at = now() - interval '11 minutes'")
        await connection.execute("UPDATE calls SET transcript = '[1]' WHERE ord = 2")  # no transcript at all
    await operations.end_abandoned(served.database, timedelta(minutes=10))
    states = await rows(served.database, "SELECT state FROM calls ORDER BY ord")
    assert [row["state"] for row in states] == ["failed", "failed", "taken", "failed", "failed"]
    async with served.database.transaction() as connection:
        await connection.execute("UPDATE calls SET transcript = '[]' WHERE ord = 2")
    await operations.end_abandoned(served.database, timedelta(minutes=10))
    assert [case.error for case in await served.recorded()] == [ABANDONED] * 5


async def test_a_call_that_somebody_holds_is_not_waited_for_by_the_other_abandoned_ones(served: Served) -> None:
    await served.start(*(a_conversation("hi", "there") for _ in range(3)))
    async with served.database.transaction() as connection:
        await connection.execute("UPDATE calls SET touched_at = now() - interval '11 minutes'")
    async with served.database.transaction() as connection:
        await connection.execute("SELECT FROM calls WHERE ord = 1 FOR UPDATE")
        await operations.end_abandoned(served.database, timedelta(minutes=10))
        states = await rows(served.database, "SELECT state FROM calls ORDER BY ord")
        assert [row["state"] for row in states] == ["failed", "waiting", "failed"]


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_a_reason_of_any_length_is_cut(served: Served, status: str) -> None:
    call_id = await served.a_call("a", "b")
    await served.begin(call_id)
    await served.say(call_id, "hello")
    ended = await served.end(call_id, status, "because " * 5000)
    assert ended.ended_reason == ("because " * 5000)[:MAX_TEXT]
    [row] = await rows(served.database, "SELECT record->>'termination_reason' AS reason, error FROM run_cases")
    assert max(len(row["reason"]), len(row["error"] or "")) == MAX_TEXT


async def test_the_calls_of_a_cancelled_or_deleted_run_are_over(served: Served) -> None:
    started = await served.start(a_conversation("a", "b"), a_conversation("c"))
    run_id = UUID(started.execution_id)
    [call_id, _] = (await served.take(started.execution_id)).call_execution_ids
    await run_operations.cancel_run(served.database, OURS, run_id)
    with refused(grpc.StatusCode.ABORTED, "ended"):
        await served.begin(call_id)
    assert not (await served.take(started.execution_id)).has_more
    await run_operations.delete_run(served.database, OURS, run_id, datetime.now(UTC))
    with refused(grpc.StatusCode.NOT_FOUND, "call execution not found"):
        await served.begin(call_id)
