"""Executions of run tests behind the real boundary, above all those whose client's agent talks to the simulated user."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest

from assay.catalog.internal.v1 import catalog_pb2
from assay.runner.v1 import chat_calls_pb2 as pb, chat_calls_pb2_grpc, run_test_executions_pb2, run_test_executions_pb2_grpc
from services.runner import calls
from services.runner.__main__ import DOCUMENTATION
from services.runner.calls import Caller
from services.runner.chats import ABANDONED, FAREWELL
from services.runner.dialogue import MAX_TEXT, MAX_TRANSCRIPT
from services.runner.governor import Governor
from services.runner.operations import chats as operations, runs as run_operations
from services.runner.servicers.chats import ChatCallServicer
from services.runner.servicers.run_tests import RunTestExecutionServicer
from services.runner.servicers.runs import Parts
from services.runner.simulation import Simulation
from services.runner.store import calls as store
from services.runner.targets.builtin import Builtin
from services.runner.targets.openai import OpenAI
from shared.guard import Guard, open_session
from shared.identity import Identifier
from shared.ids import new_id
from shared.interceptors import Boundary
from shared.json_values import value
from shared.postgres import Database
from tests.services.runner.endpoint import Answer, Endpoint, chat, endpoint
from tests.services.runner.house import OURS, SERVICE_KEY, Asked, rows, said
from tests.services.runner.servicers.test_assistant_tests import nobody
from tests.services.runner.servicers.test_runs import THEM, US, authenticate, refused
from tests.services.runner.subjects import Subjects, a_conversation

CALL_OF_A_TOOL = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"what": "tea"}'}}]
LEASE = timedelta(seconds=60)
Message = pb.SendChatMessageRequest.Message


@dataclass
class Served:
    """The servicers, a model that plays the user, and what the catalog holds."""

    database: Database
    subjects: Subjects
    asked: Asked
    model: Endpoint
    chats: Any
    executions: Any

    async def start(self, *cases: catalog_pb2.Case, metadata: Any = US) -> pb.StartChatExecutionResponse.Result:
        request = pb.StartChatExecutionRequest(run_test_id=self.subjects.a_subject(*cases))
        started: pb.StartChatExecutionResponse = await self.chats.StartChatExecution(request, metadata=metadata)
        assert started.status
        return started.result

    async def take(self, execution_id: str, metadata: Any = US) -> pb.TakeCallsResponse.Result:
        taken: pb.TakeCallsResponse = await self.chats.TakeCalls(pb.TakeCallsRequest(execution_id=execution_id), metadata=metadata)
        return taken.result

    async def a_call(self, *script: str, **said: Any) -> str:
        """A call of an execution of its own."""
        taken = await self.take((await self.start(a_conversation(*script, **said))).execution_id)
        return taken.call_execution_ids[0]

    async def begin(self, call_id: str, metadata: Any = US) -> pb.SendChatMessageResponse.Result:
        request = pb.SendChatMessageRequest(call_id=call_id, initiate_chat=True)
        return (await self.chats.SendChatMessage(request, metadata=metadata)).result  # type: ignore[no-any-return]

    async def say(self, call_id: str, *messages: Message | str, metadata: Any = US, **said: Any) -> pb.SendChatMessageResponse.Result:
        told = [Message(role="user", content=value(one)) if isinstance(one, str) else one for one in messages]
        request = pb.SendChatMessageRequest(call_id=call_id, messages=told, **said)
        return (await self.chats.SendChatMessage(request, metadata=metadata)).result  # type: ignore[no-any-return]

    async def end(self, call_id: str, status: str, reason: str | None = None, metadata: Any = US) -> pb.UpdateCallResponse.Result:
        request = pb.UpdateCallRequest(call_id=call_id, status=status, ended_reason=reason)
        return (await self.chats.UpdateCall(request, metadata=metadata)).result  # type: ignore[no-any-return]

    def plays(self, *answers: Answer | bytes) -> None:
        """A model plays the user, and says this."""
        self.subjects.simulator = catalog_pb2.Target(
            connection_id=str(new_id()), kind="openai", base_url=self.model.url, model="m", max_concurrency=4, timeout_ms=1000
        )
        self.asked.neighbours.target.base_url = self.model.url
        self.model.says(*answers)

    async def recorded(self) -> list[Any]:
        """The cases that scoring was told of."""
        return [case for event in await said(self.database, "runner.cases_executed") for case in event.cases]


@pytest.fixture
async def served(database: Database, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setattr(calls, "BACK_OFF_SECONDS", 0.02)
    parts = Parts(database, asked.catalog, asked.reporting, lambda _: None, nobody, lambda: datetime.now(UTC))
    governor = Governor(database, "tests", LEASE)
    await governor.beat()
    server = grpc.aio.server(interceptors=[Boundary(Identifier((), SERVICE_KEY, authenticate))])
    async with endpoint() as model, open_session(Guard(["127.0.0.0/8"])) as session:
        simulation = Simulation(Caller(governor, asked.catalog, {"openai": OpenAI(session)}, Builtin(DOCUMENTATION)))
        chat_calls_pb2_grpc.add_ChatCallServiceServicer_to_server(ChatCallServicer(parts, simulation), server)
        run_test_executions_pb2_grpc.add_RunTestExecutionServiceServicer_to_server(RunTestExecutionServicer(parts), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            chats = chat_calls_pb2_grpc.ChatCallServiceStub(channel)
            yield Served(database, asked.subjects, asked, model, chats, run_test_executions_pb2_grpc.RunTestExecutionServiceStub(channel))
            await server.stop(None)


def lines(result: pb.SendChatMessageResponse.Result) -> list[tuple[str, str]]:
    assert list(result.output_message) == list(result.message_history)[-1:]
    assert result.message_history[-1].role == "assistant"
    assert result.message_history[-1].content
    return [(line.role, line.content) for line in result.message_history]


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


async def test_of_several_messages_at_once_one_alone_takes_effect(served: Served) -> None:
    served.plays(chat("one"), Answer(chat("two"), seconds=0.4))
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


async def test_nothing_to_execute_is_refused(served: Served) -> None:
    request = pb.StartChatExecutionRequest(run_test_id=(empty := str(new_id())))
    served.subjects.held[empty] = []
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "no cases"):
        await served.chats.StartChatExecution(request, metadata=US)
