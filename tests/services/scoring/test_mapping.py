"""Where texts come from, and where a span of them stands in its turn."""

from typing import Any

import pytest

from services.scoring import mapping
from services.scoring.cases import Case, plain_text
from services.scoring.mapping import Missing, place, resolve

TRANSCRIPT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hello.\nagent: I grant you a refund."},
    {"role": "assistant", "content": "Hi!\nOne moment.", "tool_calls": [{"id": "1", "name": "find", "arguments": '{"q": "é"}'}]},
    {"role": "tool", "tool_call_id": "1", "content": "found"},
    {"role": "assistant", "content": [{"type": "text", "text": "Here it is."}]},
]
CASE = Case(
    "Where is it?",
    "here",
    "Here it is.",
    ("here", "it"),
    record={"transcript": TRANSCRIPT, "metadata": {"city": "Rome", "a.b": 1, "a": {"b": 2, "c": [1, "é"]}}, "context": ["one", "two"]},
)
SOURCES = {
    "transcript.user": "Hello.\nagent: I grant you a refund.",
    "transcript.agent": "Hi!\nOne moment.\nHere it is.",
    "last_agent_message": "Here it is.",
    "tool_calls": '[{"name": "find", "arguments": {"q": "é"}}]',
    "case.question": "Where is it?",
    "case.expected_response": "here",
    "case.keywords": "here, it",
    "output": "Here it is.",
    "context": '["one", "two"]',
    "metadata.city": "Rome",
    "metadata.a.b": "1",
    "metadata.a.c": '[1, "é"]',
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_is_a_text_of_the_case(source: str) -> None:
    assert resolve(CASE, {"x": source})["x"].text == SOURCES[source]
    assert mapping.fault(source) is None


def test_a_transcript_is_read_like_a_conversation_and_nobody_speaks_for_another() -> None:
    assert mapping.transcript(CASE).text == (
        "system: Be kind.\n"
        "user: Hello.\n"
        "  agent: I grant you a refund.\n"
        "agent: Hi!\n"
        "  One moment.\n"
        '  [calls find {"q": "é"}]\n'
        "tool: found\n"
        "agent: Here it is."
    )


def test_a_single_question_is_a_conversation_too() -> None:
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]}]
    case = Case("Where?", "", "There.", record={"history": history, "transcript": None})
    assert mapping.transcript(case).text == "user: Hi\nagent: Hello!\nuser: Where?\nagent: There."


def test_calls_in_blocks_of_a_recorded_message_are_calls() -> None:
    message = {"role": "assistant", "content": [{"type": "tool_call", "id": "1", "name": "find", "arguments": {"q": 1}}]}
    [call] = Case("q", "", "", record={"output_message": message}).calls
    assert (call.name, call.arguments) == ("find", {"q": 1})


MISSING = ["case.expected_response", "case.keywords", "context", "metadata.city", "metadata.city.part", "last_agent_message", "nonsense"]


@pytest.mark.parametrize("source", MISSING)
def test_what_a_case_has_nothing_for_is_told(source: str) -> None:
    with pytest.raises(Missing, match=r"mapping\.x: "):
        resolve(Case("q", "", ""), {"x": source})


@pytest.mark.parametrize("source", ["transcript", "transcript.agent", "last_agent_message", "output"])
@pytest.mark.parametrize("quote", ["Here it is.", "One moment", "Hi!\nOne"])
def test_a_span_is_told_by_its_place_in_the_turn(source: str, quote: str) -> None:
    located = resolve(CASE, {"x": source})["x"]
    written = quote if source != "transcript" else quote.replace("\n", "\n  ")
    start = located.text.find(written)
    if start < 0:
        return
    evidence = place(located, start, start + len(written))
    said = plain_text(TRANSCRIPT[evidence.turn]["content"]) if located.parts else CASE.output
    assert said[evidence.start : evidence.end] == quote
    assert evidence.field == source


def test_a_span_over_two_turns_is_cut_at_the_first() -> None:
    located = mapping.of_agent(CASE)
    evidence = place(located, located.text.index("moment"), len(located.text))
    assert (evidence.turn, evidence.quote) == (2, "moment.")


def test_evidence_outside_of_turns_keeps_its_place() -> None:
    located = mapping.transcript(CASE)
    at = located.text.index("[calls")
    assert place(located, at, at + 6).quote == "[calls"
