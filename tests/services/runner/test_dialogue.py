"""Who speaks, what is kept of it, and why a conversation ends."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from google.protobuf import json_format

from services.runner import dialogue as module
from services.runner.convert import case_texts
from services.runner.dialogue import CUT, MAX_TEXT, OPENING, SILENCE, TOO_LONG, Dialogue, Line, Scene, read_line


def a_dialogue(*script: str, **said: object) -> Dialogue:
    return Dialogue(Scene.of({"simulation": {"script": list(script), **said}}))


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("hello", Line("hello")),
        ("bye [END]", Line("bye", "user_ended")),
        ("[END]", Line("", "user_ended")),
        ("thanks! [GOAL MET]", Line("thanks!", "goal_met")),
        ("done [GOAL MET] [END]", Line("done", "goal_met")),
        ("  ", Line("  ", "user_ended")),
    ],
)
def test_a_users_words_tell_whether_they_are_its_last(said: str, line: Line) -> None:
    assert read_line(said) == line


def test_a_script_is_read_out_line_by_line_without_its_empty_ones() -> None:
    dialogue = a_dialogue("one", " ", "two")
    for expected in ("one", "two"):
        dialogue.say(dialogue.scripted())
        assert dialogue.lines[-1] == expected
    assert dialogue.scripted() == Line("", "user_ended")


def test_the_same_words_three_times_in_a_row_end_it() -> None:
    dialogue = a_dialogue("x", "x", "y", "x", "x", "x", "z")
    while not dialogue.ended:
        dialogue.say(dialogue.scripted())
    assert (dialogue.ended, len(dialogue.lines)) == ("repeated_user", 6)


@pytest.mark.parametrize(("asked", "turns"), [(None, 10), (0, 10), (3, 3), (10_000, 200)])
def test_turns_are_bounded(asked: int | None, turns: int) -> None:
    plan = {"simulation": {} if asked is None else {"max_turns": asked}}
    assert Scene.of(plan).max_turns == turns


def test_the_user_has_no_more_turns_than_it_may() -> None:
    dialogue = a_dialogue("one", "two", max_turns=1)
    assert not dialogue.exhausted()
    dialogue.say(dialogue.scripted())
    assert dialogue.exhausted()
    assert dialogue.ended == "max_turns"


def test_empty_answers_are_errors_and_three_of_them_end_it() -> None:
    dialogue = a_dialogue("x")
    for _ in range(3):
        assert not dialogue.ended
        dialogue.answer(" ")
    assert dialogue.ended == "agent_errors"


def test_the_output_is_what_the_agent_said_last() -> None:
    dialogue = a_dialogue("x")
    assert dialogue.output is None
    dialogue.answer("", [{"id": "1", "name": "look", "arguments": {}}])
    assert dialogue.output == ""
    dialogue.answer("first")
    dialogue.answer("", [{"id": "2", "name": "hangup", "arguments": {}}])
    assert dialogue.output == "first"


def test_texts_are_cut_and_a_warning_says_so() -> None:
    dialogue = a_dialogue("x")
    dialogue.answer("x" * (MAX_TEXT + 1))
    assert (len(dialogue.output or ""), list(dialogue.warnings)) == (MAX_TEXT, [CUT])


def test_the_model_that_plays_the_user_is_the_assistant_of_its_own_conversation() -> None:
    dialogue = a_dialogue()
    assert dialogue.as_the_user_sees_it() == [{"role": "user", "content": OPENING}]
    dialogue.say(Line("hello"))
    dialogue.answer("", [{"id": "1", "name": "look", "arguments": {}}])
    dialogue.tool("1", "found")
    assert [message["content"] for message in dialogue.as_the_user_sees_it()] == [OPENING, "hello", SILENCE]
    dialogue.answer("here")
    dialogue.answer("you are")
    seen = dialogue.as_the_user_sees_it()
    assert [message["role"] for message in seen] == ["user", "assistant", "user"]
    assert seen[-1]["content"] == "here\nyou are"


def test_what_the_model_is_told_names_instructions_and_goal() -> None:
    prompt = Scene(instructions="You are Ann.", goal="a refund").prompt()
    assert "You are Ann." in prompt
    assert "Your goal: a refund" in prompt
    assert "Your goal" not in Scene(instructions="You are Ann.").prompt()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRANSCRIPT", 1000)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    "speak",
    [
        lambda dialogue: dialogue.say(Line(f"{dialogue.transcript}"[-90:])),
        lambda dialogue: dialogue.answer("y" * 90),
        lambda dialogue: dialogue.tool("c1", "z" * 90),
        lambda dialogue: dialogue.tool("c" * 90, ""),
        lambda dialogue: dialogue.answer("", [{"id": "c1", "name": "look", "arguments": {"what": "tea" * 30}}]),
        lambda dialogue: dialogue.answer("", [{"id": "c1", "name": "look", "arguments": "{" * 90}]),
        lambda dialogue: dialogue.answer("", [{"id": "c", "name": "n", "arguments": {}}] * 30),
    ],
)
def test_a_conversation_has_so_much_room_and_no_more(speak: Callable[[Dialogue], None]) -> None:
    dialogue = a_dialogue("x")
    kept: list[dict[str, Any]] = []
    while not dialogue.ended:
        kept = list(dialogue.transcript)
        assert len(kept) < 20
        speak(dialogue)
        dialogue.agent_errors = 0
    assert (dialogue.ended, list(dialogue.warnings)) == ("max_length", [TOO_LONG])
    assert dialogue.transcript[: len(kept)] == kept
    assert len(orjson.dumps(dialogue.transcript)) < 1200
    before = list(dialogue.transcript)
    speak(dialogue)
    assert dialogue.transcript == before


@pytest.mark.usefixtures("narrow")
def test_what_finds_no_room_is_kept_as_far_as_it_does() -> None:
    dialogue = a_dialogue("x")
    dialogue.answer("y" * 600)
    look = {"id": "c1", "name": "look", "arguments": {"what": "tea"}}
    dialogue.answer("well", [look, {**look, "arguments": "long" * 99}, look])
    assert dialogue.transcript[1:] == [{"role": "assistant", "content": "well", "tool_calls": [look]}]
    dialogue = a_dialogue("x")
    dialogue.answer("y" * 790)
    dialogue.tool("c" * 8, "z" * 20)
    assert dialogue.transcript[1:] == [{"role": "tool", "content": "zz", "tool_call_id": "c" * 8}]


@pytest.mark.usefixtures("narrow")
def test_a_conversation_that_is_gone_on_with_has_only_the_room_that_is_left() -> None:
    dialogue = Dialogue(Scene(), [{"role": "user", "content": "x" * 700}])
    dialogue.answer("y" * 150)
    assert (dialogue.ended, len(dialogue.transcript[1]["content"])) == ("max_length", 100)


def test_the_longest_conversation_passes_everywhere_whatever_its_characters() -> None:
    dialogue = a_dialogue("x")
    while not dialogue.ended:
        dialogue.answer("\x01" * MAX_TEXT)
    texts = case_texts(
        {"ord": 0, "question": "", "expected": "", "output": "", "plan": None, "record": {"transcript": dialogue.transcript}}
    )
    assert texts.ByteSize() < 2 << 20
    assert len(json_format.MessageToJson(texts)) < 7 << 20
