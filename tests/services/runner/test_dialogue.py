"""Who speaks, what is kept of it, and why a conversation ends."""

import pytest

from services.runner.dialogue import CUT, MAX_TEXT, OPENING, SILENCE, Dialogue, Line, Scene, read_line


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
