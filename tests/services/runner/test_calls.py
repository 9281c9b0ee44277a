"""One case's call: its tries, its waits, and what stands in the result when it fails."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from assay.runner.internal.v1 import events_pb2
from services.runner import calls
from services.runner.__main__ import DOCUMENTATION
from services.runner.calls import Caller
from services.runner.entities import Executed, Run, Turn
from services.runner.governor import Governor
from services.runner.operations import execution
from services.runner.orders import Load
from services.runner.targets import Target
from services.runner.targets.builtin import Builtin
from services.runner.targets.http import Http
from services.runner.targets.openai import OpenAI
from shared.errors import NotFound, Unavailable
from shared.guard import Guard, open_session
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.endpoint import Answer, Endpoint, chat, endpoint, tool_chat
from tests.services.runner.house import Asked, a_target, claim, rows, running

LEASE = timedelta(seconds=60)


@dataclass
class Calling:
    """A caller, the endpoint that it calls, and a run of three cases."""

    caller: Caller
    there: Endpoint
    asked: Asked
    database: Database

    async def run(self, **said: Any) -> Run:
        kind = said.pop("kind", "openai")
        self.asked.neighbours.target.base_url = self.there.url
        target = a_target(kind=kind, base_url=self.there.url, model="gpt", **said)
        return await running(self.database, 3, target=target)

    async def call(self, history: tuple[Turn, ...] = (), **said: Any) -> Executed:
        """What becomes of the first case of a new run, stored as a worker stores it."""
        run = await self.run(**said)
        [case] = await claim(self.database, run, 0, 0, LEASE)
        done = await self.caller.call(run, case, history)
        assert await execution.record(self.database, run, [done]) == {0}
        return done


@pytest.fixture
async def calling(database: Database, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Calling]:
    monkeypatch.setattr(calls, "BACK_OFF_SECONDS", 0.02)
    governor = Governor(database, "tests", LEASE)
    await governor.beat()
    async with endpoint() as there, open_session(Guard(["127.0.0.0/8"])) as session:
        targets: dict[str, Target] = {"openai": OpenAI(session), "http": Http(session)}
        yield Calling(Caller(governor, asked.catalog, targets, Builtin(DOCUMENTATION)), there, asked, database)


async def test_an_answer_is_kept_with_its_time_and_attempts(calling: Calling) -> None:
    calling.there.says(Answer(chat("hello"), seconds=0.05))
    done = await calling.call()
    assert (done.output, done.error, done.attempts, done.warnings) == ("hello", None, 1, ())
    assert 40 < (done.execution_time_ms or 0) < 20_000
    assert calling.there.headers[0]["authorization"] == "Bearer sk-secret"


async def test_the_key_names_run_case_and_repeat_and_stays_over_tries(calling: Calling) -> None:
    calling.there.says(500, chat("x"))
    done = await calling.call()
    keys = [headers["idempotency-key"] for headers in calling.there.headers]
    assert keys[0] == keys[1]
    assert keys[0].endswith(f":{done.case.case_id}:1")


@pytest.mark.parametrize(("failures", "attempts"), [([500], 2), ([503, 408], 3), ([Answer(seconds=30), 500], 3)])
async def test_what_may_pass_is_tried_again(calling: Calling, failures: list[Any], attempts: int) -> None:
    calling.there.says(*failures, chat("at last"))
    slow = any(isinstance(failure, Answer) for failure in failures)
    done = await calling.call(timeout_ms=3500 if slow else 20_000)
    assert (done.output, done.attempts) == ("at last", attempts)


async def test_three_tries_are_all(calling: Calling) -> None:
    calling.there.says(502)
    done = await calling.call()
    assert (done.output, done.error, done.attempts, len(calling.there.asked)) == (None, "HTTP 502", 3, 3)


@pytest.mark.parametrize("answer", [Answer(b"no", 400), b"what?", Answer(status=302, headers={"location": "/"})])
async def test_a_no_is_tried_once(calling: Calling, answer: Any) -> None:
    calling.there.says(answer)
    done = await calling.call()
    assert (done.output, done.attempts, bool(done.error)) == (None, 1, True)


async def test_too_many_requests_are_waited_out_and_are_no_try(calling: Calling) -> None:
    wait = Answer(status=429, headers={"retry-after": "0.2"})
    calling.there.says(wait, 429, Answer(status=429, headers={"retry-after": "0"}), 500, 429, chat("at last"))
    began = time.monotonic()
    done = await calling.call()
    assert (done.output, done.attempts, len(calling.there.asked)) == ("at last", 2, 6)
    assert time.monotonic() - began > 0.2


async def test_a_target_that_says_zero_is_not_asked_as_fast_as_it_answers(calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 0.5)
    calling.there.says(Answer(status=429, headers={"retry-after": "0"}))
    done = await calling.call()
    assert (done.error, done.attempts) == ("the target kept answering 429 (too many requests)", 1)
    assert len(calling.there.asked) <= 30


async def test_a_wait_beyond_all_patience_is_not_begun(calling: Calling) -> None:
    calling.there.says(Answer(status=429, headers={"retry-after": "86400"}))
    assert "429" in ((await calling.call()).error or "")
    assert len(calling.there.asked) == 1


async def test_calls_that_are_spaced_out_lose_no_patience_by_it(calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 3.0)
    calling.there.says(*[429] * 4, chat("at last"))
    assert (await calling.call(requests_per_minute=50)).output == "at last"  # three waits of 1.2 s before the last refusal


async def test_a_target_that_gives_up_just_as_the_time_does_is_not_asked_again() -> None:
    begun = asyncio.Event()

    async def begin() -> None:
        begun.set()

    async def tried() -> None:
        async with asyncio.timeout(0.01) as bound:
            with contextlib.suppress(asyncio.CancelledError):  # as by a client whose own time is over in the same instant
                await asyncio.sleep(5)
            await calls._Turn(begin, bound).come()

    with pytest.raises(TimeoutError):
        await tried()
    assert not begun.is_set()


@pytest.mark.parametrize(("body", "output"), [(b'"a\\u0000b"', "a\ufffdb"), (b'"\\ud800"', "\ufffd"), (b'"x\xff"', "x\ufffd")])
async def test_what_cannot_be_stored_is_replaced_and_flagged(calling: Calling, body: bytes, output: str) -> None:
    calling.there.says(b'{"output": ' + body + b"}")
    done = await calling.call(kind="http")
    assert (done.output, done.warnings) == (output, ("characters that can't be stored were replaced by U+FFFD",))
    assert (await rows(calling.database, "SELECT output FROM run_cases WHERE ord = 0"))[0]["output"] == output


async def test_an_error_can_be_stored_whatever_the_target_said(calling: Calling) -> None:
    calling.there.says(Answer(b"nul \0 and \xff", 400))
    assert (await calling.call()).error == "HTTP 400: nul \ufffd and \ufffd"


async def test_an_error_never_repeats_the_key(calling: Calling) -> None:
    calling.there.says(Answer(b"wrong key: sk-secret", 401))
    assert (await calling.call()).error == "HTTP 401: wrong key: •••"


async def test_an_error_repeats_no_part_of_the_key_where_it_is_cut(calling: Calling) -> None:
    calling.there.says(Answer(b"x" * 295 + b"sk-secret", 400))
    assert (await calling.call()).error == f"HTTP 400: {'x' * 295}•••"


async def test_an_answer_does_not_repeat_the_key(calling: Calling) -> None:
    calling.there.says(chat("You sent Bearer sk-secret."))
    done = await calling.call()
    assert (done.output, done.warnings) == ("You sent Bearer •••.", ("the connection's key was taken out of the answer",))


async def test_a_fault_that_nobody_foresaw_is_an_error_of_its_case(calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
    async def explode(_call: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(calling.caller._targets["openai"], "ask", explode)
    done = await calling.call()
    assert (done.error, done.attempts) == ("the call failed: KeyError", 3)


async def test_a_kind_that_cannot_be_called_says_so(calling: Calling) -> None:
    assert "connections of kind grpc" in ((await calling.call(kind="grpc")).error or "")


async def test_a_secret_is_not_sent_to_another_address(calling: Calling) -> None:
    run = await calling.run()
    calling.asked.neighbours.target.base_url = "http://127.0.0.1:1"
    [case] = await claim(calling.database, run, 0, 0, LEASE)
    done = await calling.caller.call(run, case, ())
    assert (done.error, done.attempts) == ("the connection's base_url changed after the run was started", 0)
    assert not calling.there.asked


async def test_a_deleted_connection_is_final(calling: Calling) -> None:
    calling.asked.neighbours.refusal = NotFound("connection")
    done = await calling.call()
    assert (done.error, done.attempts) == ("the connection was deleted", 0)


async def test_a_catalog_that_is_away_is_waited_for(calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "AWAY_SECONDS", 0.05)
    calling.asked.neighbours.refusal = Unavailable("away")
    call = asyncio.create_task(calling.call())
    await asyncio.sleep(0.5)
    assert not call.done()
    calling.asked.neighbours.refusal = None
    assert (await call).output == "hello"


async def test_earlier_turns_go_along(calling: Calling) -> None:
    await calling.call(history=(Turn("a?", "b."),))
    assert [message["content"] for message in calling.there.asked[0]["messages"]] == ["a?", "b.", "question 0"]


async def test_no_more_calls_are_in_flight_than_the_connection_allows(calling: Calling) -> None:
    calling.there.says(Answer(chat("x"), seconds=0.1))
    run = await running(calling.database, 12, target=a_target(kind="openai", base_url=calling.there.url, max_concurrency=3))
    calling.asked.neighbours.target.base_url = calling.there.url
    cases = await claim(calling.database, run)
    await asyncio.gather(*(calling.caller.call(run, case, ()) for case in cases))
    assert (len(calling.there.asked), calling.there.most) == (12, 3)


async def test_builtin_models_answer_and_unknown_ones_are_errors(calling: Calling) -> None:
    run = await running(calling.database, 3)
    cases = await claim(calling.database, run)
    assert [done.output for done in await calling.caller.answer_all(run, cases)] == ["question 0", "question 1", "question 2"]
    other = await running(calling.database, 3, target=a_target(model="unknown"))
    cases = await claim(calling.database, other)
    assert {done.error for done in await calling.caller.answer_all(other, cases)} == {"the suite has no builtin model 'unknown'"}


async def test_a_ticket_is_left_to_the_runner_that_may_call_the_model_of_its_user(calling: Calling) -> None:
    ours, other = calling.caller._governor, Governor(calling.database, "other", LEASE)
    for each in (other, ours, other):
        await each.beat()
    without = events_pb2.Ticket(connection_id=str(new_id()), connection_slots=2, run_slots=2)
    played = events_pb2.Ticket(connection_id=str(new_id()), connection_slots=2, run_slots=2, simulator_slots=1)
    there = Caller(other, calling.asked.catalog, {}, Builtin(DOCUMENTATION))
    assert [there.has_room(without, Load()), there.has_room(played, Load())] == [True, False]
    assert calling.caller.has_room(played, Load())


async def test_no_more_is_held_than_this_runners_share_can_call(calling: Calling) -> None:
    ours, other = calling.caller._governor, Governor(calling.database, "other", LEASE)
    for each in (other, ours, other):
        await each.beat()
    few = events_pb2.Ticket(connection_id=str(new_id()), connection_slots=50, run_slots=40)
    many = events_pb2.Ticket(connection_id=str(new_id()), connection_slots=40, run_slots=50)
    there = calling.caller
    assert [there.has_room(few, Load(held, held)) for held in (0, 19.5, 20)] == [True, True, False]
    assert [there.has_room(many, Load(held, held)) for held in (0, 19.5, 20)] == [True, True, False]


async def test_a_run_of_few_slots_has_room_beside_one_of_many(calling: Calling) -> None:
    small = events_pb2.Ticket(connection_id=str(new_id()), connection_slots=50, run_slots=1, conversations=1)
    assert [calling.caller.has_room(small, Load(run, held)) for run, held in ((0, 49), (1, 49), (0, 50))] == [True, False, False]


async def test_tokens_are_told_of_every_family_but_test_sets(calling: Calling) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    calling.there.says(orjson.dumps({"choices": [{"message": {"content": "x"}}], "usage": usage}))
    assert (await calling.call()).record is None
    run = replace(await calling.run(), family="prompt_test_case")
    [case] = await claim(calling.database, run, 0, 0, LEASE)
    assert (await calling.caller.call(run, case, ())).record == {"usage": usage}


async def test_an_answer_that_only_calls_tools_answers_no_question(calling: Calling) -> None:
    calling.there.says(tool_chat(("look", "{}")))
    assert (await calling.call()).error == "the chat completion has no text"
