"""Conversations between a simulated user and a real endpoint, within the limits and as scoring gets to know them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from google.protobuf import json_format

from assay.catalog.internal.v1 import catalog_pb2
from services.runner import calls, convert
from services.runner.__main__ import DOCUMENTATION
from services.runner.calls import Caller
from services.runner.dialogue import TOO_LONG
from services.runner.entities import Executed, Run
from services.runner.governor import Governor
from services.runner.operations import execution
from services.runner.simulation import Simulation
from services.runner.storable import storable
from services.runner.store import cases
from services.runner.targets.builtin import Builtin
from services.runner.targets.http import Http
from services.runner.targets.openai import OpenAI
from shared import json_values
from shared.guard import Guard, open_session
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.endpoint import Answer, Endpoint, chat, endpoint, tool_chat
from tests.services.runner.house import Asked, a_target, claim, rows, running, said
from tests.shared.waiting import until

LEASE = timedelta(seconds=60)
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}, "result": {"stock": 3}}
GREETING = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


@dataclass
class Stage:
    """An agent's endpoint, that of the model that plays the user, and what they say to each other."""

    agent: Endpoint
    user: Endpoint
    asked: Asked
    database: Database
    simulation: Simulation

    async def run(self, script: tuple[str, ...] = ("hi",), *, played: bool = False, content: Any = None, **said: Any) -> Run:
        simulation = {name: said.pop(name) for name in list(said) if name in {"max_turns", "max_duration_seconds", "instructions", "goal"}}
        self.asked.neighbours.target.base_url = self.agent.url
        target = a_target(**{"kind": "openai", "base_url": self.agent.url, "model": "gpt", "statement": "Be kind.", **said})
        simulator = None
        if played:
            simulator = a_target(kind="openai", base_url=self.user.url, model="player", connection_id=new_id())
            access = catalog_pb2.ConnectionAccess(base_url=self.user.url, api_key="sk-of-the-user")
            self.asked.neighbours.connections[str(simulator.connection_id)] = access
            simulation = {"instructions": "You want a refund.", **simulation}
        plan = {"simulation": {"script": list(script), **simulation}, **({"content": content} if content else {})}
        conversation: dict[str, Any] = {"mode": "conversation", "family": "assistant_test", "simulator": simulator}
        return await running(self.database, 1, plan=plan, target=target, **conversation)

    async def hold(self, *script: str, **said: Any) -> Executed:
        """What becomes of a conversation, stored as a worker stores it."""
        run = await self.run(script or ("hi",), **said)
        [case] = await claim(self.database, run, lease=LEASE)
        done = await self.simulation.hold(run, case)
        assert await execution.record(self.database, run, [done]) == {0}
        return done

    def heard(self, number: int = -1) -> list[tuple[str, Any]]:
        """(role, content) of the messages of one call to the agent."""
        return [(message["role"], message["content"]) for message in self.agent.asked[number]["messages"]]


@pytest.fixture
async def stage(database: Database, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(calls, "BACK_OFF_SECONDS", 0.02)
    governor = Governor(database, "tests", LEASE)
    await governor.beat()
    async with endpoint() as agent, endpoint() as user, open_session(Guard(["127.0.0.0/8"])) as session:
        caller = Caller(governor, asked.catalog, {"openai": OpenAI(session), "http": Http(session)}, Builtin(DOCUMENTATION))
        yield Stage(agent, user, asked, database, Simulation(caller))


def record(done: Executed) -> dict[str, Any]:
    assert done.record is not None
    return dict(done.record)


async def test_a_script_is_read_out_and_each_turn_sees_the_earlier_ones(stage: Stage) -> None:
    stage.agent.says(chat("hello"), chat("fine"))
    done = await stage.hold("hi", "how are you?")
    assert (done.output, done.error, done.attempts) == ("fine", None, 2)
    assert stage.heard(0) == [("system", "Be kind."), ("user", "hi")]
    assert stage.heard(1) == [("system", "Be kind."), ("user", "hi"), ("assistant", "hello"), ("user", "how are you?")]
    assert record(done)["termination_reason"] == "user_ended"
    assert [message["role"] for message in record(done)["transcript"]] == ["user", "assistant"] * 2
    assert stage.agent.asked[0]["model"] == "gpt"


async def test_scoring_is_told_the_transcript_and_the_cases_own_content(stage: Stage) -> None:
    await stage.hold("hi", content={"scenario_id": "s"})
    [event] = await said(stage.database, "runner.cases_executed")
    assert dict(event.cases[0].record.items())["scenario_id"] == "s"
    assert [dict(each) for each in event.cases[0].record["transcript"]] == GREETING
    [row] = await rows(stage.database, "SELECT record, output FROM run_cases")
    assert (row["record"]["transcript"], row["output"]) == (GREETING, "hello")


async def test_tools_are_offered_called_and_answered(stage: Stage) -> None:
    stage.agent.says(tool_chat(("look", '{"what": "tea"}')), chat("There are three.", usage={}))
    done = await stage.hold("any tea?", content={"tools": [LOOK]})
    assert done.output == "There are three."
    assert stage.agent.asked[0]["tools"] == [{"type": "function", "function": LOOK["function"]}]
    spoken = stage.agent.asked[1]["messages"][-2:]
    assert spoken[0]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"what":"tea"}'}
    assert spoken[1] == {"role": "tool", "tool_call_id": "c0", "content": '{"stock":3}'}
    assert record(done)["transcript"][1:3] == [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c0", "name": "look", "arguments": {"what": "tea"}}]},
        {"role": "tool", "content": '{"stock":3}', "tool_call_id": "c0"},
    ]
    assert record(done)["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


async def test_tools_of_the_connection_count_too_and_are_sent_once(stage: Stage) -> None:
    await stage.hold(parameters={"tools": [LOOK], "temperature": 0.5})
    assert (len(stage.agent.asked[0]["tools"]), stage.agent.asked[0]["temperature"]) == (1, 0.5)


async def test_an_agent_that_hangs_up_ends_it(stage: Stage) -> None:
    stage.agent.says(tool_chat(("hangup", "{}"), text="Bye."))
    done = await stage.hold("hi", "still there?", content={"tools": [{"type": "hangup", "hangup": {}}]})
    assert (done.output, record(done)["termination_reason"]) == ("Bye.", "agent_ended")


async def test_an_agent_that_calls_tools_for_ever_is_stopped(stage: Stage) -> None:
    stage.agent.says(tool_chat(("look", "{}")))
    done = await stage.hold("a", "b", "c", "d", content={"tools": [LOOK]})
    assert record(done)["termination_reason"] == "agent_errors"
    assert len(stage.agent.asked) == 24
    assert (done.output, done.error) == ("", None)


@pytest.mark.parametrize("call", [("dance", "{}"), ("look", "{broken")])
async def test_calls_that_cannot_be_made_are_told_to_the_agent_and_end_it_at_last(stage: Stage, call: tuple[str, str]) -> None:
    stage.agent.says(tool_chat(call), tool_chat(call), tool_chat(call), chat("never"))
    done = await stage.hold("hi", content={"tools": [LOOK]})
    assert record(done)["termination_reason"] == "agent_errors"
    assert '"error"' in record(done)["transcript"][2]["content"]


async def test_a_model_plays_the_user_with_its_own_key(stage: Stage) -> None:
    stage.user.says(chat("I want my money."), chat("Thanks! [GOAL MET]"))
    stage.agent.says(chat("Here it is."))
    done = await stage.hold("not read out", played=True, goal="a refund")
    assert [message["content"] for message in record(done)["transcript"]] == ["I want my money.", "Here it is.", "Thanks!"]
    assert (done.output, record(done)["termination_reason"], done.attempts) == ("Here it is.", "goal_met", 1)
    assert stage.user.headers[0]["authorization"] == "Bearer sk-of-the-user"
    assert stage.agent.headers[0]["authorization"] == "Bearer sk-secret"
    told = stage.user.asked[1]["messages"]
    assert "a refund" in told[0]["content"]
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user"]
    assert "tools" not in stage.user.asked[0]


async def test_without_instructions_the_script_is_read_out_though_there_is_a_model(stage: Stage) -> None:
    done = await stage.hold("hi", played=True, instructions="")
    assert record(done)["transcript"] == GREETING
    assert not stage.user.asked


async def test_a_user_that_never_stops_has_its_turns_and_no_more(stage: Stage) -> None:
    stage.user.says(*(chat(f"more {number}") for number in range(9)))
    done = await stage.hold(played=True, max_turns=3)
    assert (record(done)["termination_reason"], len(stage.agent.asked), len(stage.user.asked)) == ("max_turns", 3, 3)


async def test_a_script_that_is_over_is_not_cut_short(stage: Stage) -> None:
    assert record(await stage.hold("hi", "bye", max_turns=2))["termination_reason"] == "user_ended"
    assert record(await stage.hold("hi", "bye", max_turns=1))["termination_reason"] == "max_turns"


async def test_the_same_words_three_times_end_it_before_they_are_answered(stage: Stage) -> None:
    stage.user.says(chat("again"))
    done = await stage.hold(played=True)
    assert (record(done)["termination_reason"], len(stage.agent.asked)) == ("repeated_user", 2)


async def test_a_conversation_ends_when_its_time_is_over(stage: Stage) -> None:
    stage.agent.says(chat("quick"), Answer(chat("slow"), seconds=30))
    done = await stage.hold("a", "b", max_duration_seconds=4)
    assert (done.output, done.error, record(done)["termination_reason"]) == ("quick", None, "max_duration")
    late = await stage.hold("a", max_duration_seconds=1)
    assert (late.output, late.error) == (None, "the agent never answered (max_duration)")


async def test_a_conversation_without_end_is_cut_and_can_be_scored(stage: Stage) -> None:
    letters = "x" * 300_000
    stage.agent.says(tool_chat(("look", orjson.dumps({"what": letters}).decode()), text="Looking."))
    done = await stage.hold("any tea?", content={"tools": [LOOK]})
    assert (done.output, done.error, record(done)["termination_reason"]) == ("Looking.", None, "max_length")
    assert len(stage.agent.asked) == 4  # each sees all that was said before
    assert done.warnings == (TOO_LONG,)
    [event] = await said(stage.database, "runner.cases_executed")
    assert (event.cases[0].texts_by_id, list(event.cases[0].warnings)) == (True, [TOO_LONG])
    assert event.ByteSize() < 1000
    async with stage.database.connection() as connection:
        row = await cases.texts(connection, UUID(event.run_id), 0)
    assert row is not None
    texts = convert.case_texts(dict(row))
    assert json_values.plain(texts.record)["transcript"] == record(done)["transcript"]
    assert len(record(done)["transcript"]) == 8
    assert len(json_format.MessageToJson(texts)) < 15 << 20


async def test_an_outage_is_an_error_that_keeps_what_was_said(stage: Stage) -> None:
    stage.agent.says(chat("hello"), 503)
    done = await stage.hold("hi", "and now?")
    assert (done.output, done.error, done.attempts) == (None, "HTTP 503", 4)
    assert record(done)["termination_reason"] == "error"
    assert [message["content"] for message in record(done)["transcript"]] == ["hi", "hello", "and now?"]


async def test_an_outage_of_the_user_is_an_error_too(stage: Stage) -> None:
    stage.user.says(Answer(b"wrong key: sk-of-the-user", 401))
    done = await stage.hold(played=True)
    assert (done.output, done.error) == (None, "HTTP 401: wrong key: •••")


async def test_without_a_model_and_a_script_nobody_can_speak(stage: Stage) -> None:
    run = await stage.run((), instructions="You are Ann.")
    [case] = await claim(stage.database, run, lease=LEASE)
    done = await stage.simulation.hold(run, case)
    assert "no model plays the user" in (done.error or "")
    assert not stage.agent.asked


async def test_every_call_has_a_key_of_its_own_and_a_repeated_conversation_has_them_again(stage: Stage) -> None:
    run = await stage.run(("a", "b"))
    [case] = await claim(stage.database, run, lease=LEASE)
    for _ in range(2):
        await stage.simulation.hold(run, case)
    keys = [headers["idempotency-key"] for headers in stage.agent.headers]
    assert keys[:2] == keys[2:]
    assert len(set(keys)) == 2
    assert keys[0].startswith(f"{run.id}:{case.case_id}:1:")


async def test_a_try_that_may_pass_is_tried_again_with_the_same_key(stage: Stage) -> None:
    stage.agent.says(500, chat("hello"))
    done = await stage.hold("hi")
    assert (done.output, done.attempts) == ("hello", 2)
    assert len({headers["idempotency-key"] for headers in stage.agent.headers}) == 1


async def test_what_agents_say_is_made_fit_for_storage(stage: Stage) -> None:
    arguments = orjson.dumps({"k\0": "sk-secret", "n": 1}).decode()
    stage.agent.says(tool_chat(("look", arguments), text="I know sk-secret\0"), chat("done"))
    done = await stage.hold("hi", content={"tools": [LOOK]})
    message = record(done)["transcript"][1]
    assert message["content"] == "I know •••\ufffd"
    assert message["tool_calls"][0]["arguments"] == {"k\ufffd": "•••", "n": 1}
    assert len(done.warnings) == 2


async def test_an_http_endpoint_is_told_the_messages_and_the_tools(stage: Stage) -> None:
    stage.agent.says(b'{"output": "hello", "usage": {"total_tokens": 3}}')
    done = await stage.hold("hi", kind="http", content={"tools": [LOOK]})
    [body] = stage.agent.asked
    assert (done.output, record(done)["usage"]) == ("hello", {"total_tokens": 3})
    assert (body["question"], body["messages"][-1], body["tools"][0]["type"]) == ("hi", {"role": "user", "content": "hi"}, "function")


async def test_the_echo_holds_conversations_too(stage: Stage) -> None:
    done = await stage.hold("one", "two", kind="builtin", model="echo", base_url="")
    assert [message["content"] for message in record(done)["transcript"]] == ["one", "one", "two", "two"]


async def test_waiting_for_a_slot_is_no_part_of_the_conversation(stage: Stage) -> None:
    stage.agent.says(Answer(chat("long"), seconds=4), chat("hello"))
    only: dict[str, Any] = {"max_concurrency": 1, "connection_id": new_id()}
    long, short = await stage.run(("hi",), **only), await stage.run(("hi",), max_duration_seconds=3, **only)
    [one], [other] = await claim(stage.database, long, lease=LEASE), await claim(stage.database, short, lease=LEASE)
    holding = asyncio.create_task(stage.simulation.hold(long, one))
    await until(lambda: stage.agent.at_once == 1)
    done = await stage.simulation.hold(short, other)
    assert ((await holding).output, done.output, stage.agent.most) == ("long", "hello", 1)


async def test_waiting_for_the_next_call_of_a_minute_is_no_part_of_the_conversation(stage: Stage) -> None:
    stage.agent.says(chat("hello"), chat("fine"), Answer(chat("slow"), seconds=30))
    done = await stage.hold("hi", "how are you?", "and now?", max_duration_seconds=3, requests_per_minute=18)  # waits of 3.3 s
    assert (done.output, record(done)["termination_reason"]) == ("fine", "max_duration")
    assert len(stage.agent.asked) == 3


def test_json_of_others_is_made_storable() -> None:
    found = storable({"a": [float("nan"), 2**70, "\ud800", None, True]})
    assert found == {"a": [None, float(2**70), "\ufffd", None, True]}
    orjson.dumps(found)
