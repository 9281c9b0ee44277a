"""Executions of run tests behind the real boundary, above all those whose client's agent talks to the simulated user."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import pytest

from assay.runner.v1 import chat_calls_pb2 as pb, run_test_executions_pb2
from services.runner import calls
from services.runner.chats import FAREWELL
from services.runner.store import calls as store
from shared.ids import new_id
from shared.json_values import value
from shared.postgres import Database
from tests.services.runner.endpoint import Answer, chat
from tests.services.runner.house import Asked, rows
from tests.services.runner.servicers.chatting import Message, Served, lines, serving_chats
from tests.services.runner.servicers.test_runs import THEM, US, refused
from tests.services.runner.subjects import a_conversation

CALL_OF_A_TOOL = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"what": "tea"}'}}]


@pytest.fixture
async def served(database: Database, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setattr(calls, "BACK_OFF_SECONDS", 0.02)
    async with serving_chats(database, asked) as served:
        yield served


async def test_an_execution_calls_the_agent_in_every_scenario(served: Served) -> None:
    run_test_id = served.subjects.a_subject(a_conversation("a", scenario="s1"), a_conversation("b", scenario="s2"))
    request = run_test_executions_pb2.ExecuteRunTestRequest(run_test_id=run_test_id, scenario_ids=["s1", "s2"])
    keyed = (*US, ("idempotency-key", "k"))
    started = await served.executions.ExecuteRunTest(request, metadata=keyed)
    assert await served.executions.ExecuteRunTest(request, metadata=keyed) == started
    assert (started.run_test_id, started.status, started.total_scenarios, started.total_calls) == (run_test_id, "pending", 2, 2)
    assert list(started.scenario_ids) == ["s1", "s2"]
    assert list(served.subjects.opened[0].scenario_ids) == ["s1", "s2"]
    [row] = await rows(served.database, "SELECT id, state, triggered_by, client_driven FROM runs")
    assert tuple(row) == (UUID(started.execution_id), "running", "api", False)


async def test_each_call_is_handed_out_once(served: Served) -> None:
    started = await served.start(*(a_conversation("hi", scenario=f"s{number % 2}") for number in range(25)))
    assert (started.total_scenarios, started.status) == (2, "pending")
    first = await served.take(started.execution_id)
    assert (len(first.call_execution_ids), first.has_more, list(first.batched_scenarios)) == (20, True, ["s0", "s1"])
    rest = await asyncio.gather(*(served.take(started.execution_id) for _ in range(3)))
    ids = [*first.call_execution_ids, *(call_id for each in rest for call_id in each.call_execution_ids)]
    assert (len(ids), len(set(ids))) == (25, 25)
    last = await served.take(started.execution_id)
    assert (list(last.call_execution_ids), last.has_more) == ([], False)


async def test_calls_that_another_is_taking_are_passed_over(served: Served) -> None:
    started = await served.start(*(a_conversation("hi") for _ in range(5)))
    async with served.database.transaction() as busy:
        taken = await store.take(busy, UUID(started.execution_id), 2)
        rest = await asyncio.wait_for(served.take(started.execution_id), 5)
    assert (len(taken), len(rest.call_execution_ids)) == (2, 3)
    assert not {str(call.id) for call in taken} & set(rest.call_execution_ids)


async def test_a_chat_goes_line_by_line_and_is_recorded_at_its_end(served: Served) -> None:
    call_id = await served.a_call("hi", "and then?", scenario="s1")
    opening = await served.begin(call_id)
    assert (lines(opening), opening.chat_ended, list(opening.input_message)) == ([("assistant", "hi")], False, [])
    second = await served.say(call_id, "hello", metrics=value({"latency": 20}))
    assert lines(second) == [("assistant", "hi"), ("user", "hello"), ("assistant", "and then?")]
    assert [(line.role, line.content) for line in second.input_message] == [("user", "hello")]
    last = await served.say(call_id, "nothing", metrics=value({"latency": 30.7}))
    assert (lines(last)[-2:], last.chat_ended) == ([("user", "nothing"), ("assistant", FAREWELL)], True)
    [case] = await served.recorded()
    assert (case.output, case.execution_time_ms, case.record["termination_reason"]) == ("nothing", 50, "user_ended")
    roles = [(dict(message)["role"], dict(message)["content"]) for message in case.record["transcript"]]
    assert roles == [("user", "hi"), ("assistant", "hello"), ("user", "and then?"), ("assistant", "nothing")]
    assert case.record["scenario_id"] == "s1"
    with refused(grpc.StatusCode.ABORTED, "ended"):
        await served.say(call_id, "more")


async def test_tools_that_the_agent_called_are_kept(served: Served) -> None:
    call_id = await served.a_call("any tea?")
    await served.begin(call_id)
    calls_it = Message(role="user", content=value(None), tool_calls=value(CALL_OF_A_TOOL))
    answers = Message(role="tool", tool_call_id="c1", content=value({"stock": 3}))
    ended = await served.say(call_id, calls_it, answers, "There are three.")
    assert [content for _, content in lines(ended)] == ["any tea?", "", '{"stock":3}', "There are three.", FAREWELL]
    transcript = (await served.recorded())[0].record["transcript"]
    assert dict(transcript[1]["tool_calls"][0]["arguments"]) == {"what": "tea"}
    assert (transcript[2]["role"], transcript[2]["tool_call_id"]) == ("tool", "c1")


async def test_a_run_is_scored_once_its_last_call_has_ended(served: Served) -> None:
    started = await served.start(a_conversation("one"), a_conversation("two"))
    first, second = (await served.take(started.execution_id)).call_execution_ids
    await served.begin(first)
    await served.say(first, "hello")
    assert not await served.recorded()
    assert (await served.end(second, "failed", "the agent broke")).status == "failed"
    done = await served.recorded()
    assert [(case.output, case.error) for case in done] == [("hello", ""), ("", "the agent broke")]


async def test_a_model_plays_the_user_and_an_end_of_its_is_the_last_line(served: Served) -> None:
    served.plays(chat("I want a refund."), chat("Great! [GOAL MET]"))
    call_id = await served.a_call(instructions="You are Ann.", max_turns=5)
    assert lines(await served.begin(call_id)) == [("assistant", "I want a refund.")]
    last = await served.say(call_id, "Here it is.")
    assert (lines(last)[-1], last.chat_ended) == (("assistant", "Great!"), True)
    assert (await served.recorded())[0].record["termination_reason"] == "goal_met"
    assert served.model.asked[1]["messages"][-1] == {"role": "user", "content": "Here it is."}


async def test_of_several_messages_at_once_one_alone_takes_effect(served: Served) -> None:
    served.plays(chat("one"), Answer(chat("two"), seconds=4.0))
    call_id = await served.a_call(instructions="You are Ann.", max_turns=9)
    await served.begin(call_id)
    said = await asyncio.gather(*(served.say(call_id, f"answer {number}") for number in range(3)), return_exceptions=True)
    codes = [one.code() for one in said if isinstance(one, grpc.aio.AioRpcError)]
    assert codes == [grpc.StatusCode.ABORTED] * 2
    [row] = await rows(served.database, "SELECT turn, jsonb_array_length(transcript) AS messages FROM calls")
    assert tuple(row) == (2, 3)


async def test_the_same_key_and_a_second_beginning_say_the_same_again(served: Served) -> None:
    call_id, keyed = await served.a_call("a", "b", "c"), (*US, ("idempotency-key", "k"))
    opening = await served.begin(call_id)
    assert await served.begin(call_id) == opening
    assert await served.say(call_id, "x", metadata=keyed) == await served.say(call_id, "x", metadata=keyed)
    assert (await rows(served.database, "SELECT turn FROM calls"))[0]["turn"] == 2


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], "messages: must be 1 to 100"),
        ([Message(role="assistant", content=value("x"))], "messages[0].role"),
        ([Message(role="user", tool_calls=value([{"name": "look"}]))], "messages[0].tool_calls"),
        ([Message(role="user", content=value("\0"))], "U+0000"),
    ],
)
async def test_what_is_no_message_is_refused(served: Served, messages: list[Any], text: str) -> None:
    call_id = await served.a_call("a")
    await served.begin(call_id)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, text):
        await served.say(call_id, *messages)


async def test_a_call_begins_before_it_goes_on(served: Served) -> None:
    with refused(grpc.StatusCode.ABORTED, "has not begun"):
        await served.say(await served.a_call("a"), "hello")


async def test_what_is_anothers_or_unknown_is_not_found(served: Served) -> None:
    started = await served.start(a_conversation("hi"))
    [call_id] = (await served.take(started.execution_id)).call_execution_ids
    for execution_id in (started.execution_id, "x", str(new_id())):
        with refused(grpc.StatusCode.NOT_FOUND, "test execution not found"):
            await served.take(execution_id, THEM)
    for unknown in (call_id, "x", str(new_id())):
        with refused(grpc.StatusCode.NOT_FOUND, "call execution not found"):
            await served.begin(unknown, THEM)
        with refused(grpc.StatusCode.NOT_FOUND, "call execution not found"):
            await served.end(unknown, "failed", metadata=THEM)
    with refused(grpc.StatusCode.NOT_FOUND, "run test not found"):
        await served.start(a_conversation("hi"), metadata=THEM)


async def test_nothing_to_execute_is_refused(served: Served) -> None:
    request = pb.StartChatExecutionRequest(run_test_id=(empty := str(new_id())))
    served.subjects.held[empty] = []
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "no cases"):
        await served.chats.StartChatExecution(request, metadata=US)
