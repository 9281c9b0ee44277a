"""Criteria that are decided without a judge, and those that are not."""

import pytest

from services.scoring.cases import Case
from services.scoring.scorers.rubric import decided

CASE = Case(
    "",
    "",
    "",
    record={
        "transcript": [
            {"role": "user", "content": "I want a refund"},
            {"role": "assistant", "content": "Of course.\nYour  Refund\nis on its way."},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "refund", "arguments": "{}"}}]},
        ]
    },
)
DECIDED = [
    ("contains: refund is on its way", 1),
    ("Contains:REFUND", 1),
    ("  contains :  of course.  ", 1),
    ('contains: "your refund"', 1),
    ("contains: \u201cyour refund\u201d", 1),
    ("contains: I want", 0),
    ("contains: course. your", 1),
    ("tool called: refund", 1),
    ("Tool Called: `refund`", 1),
    ("tool called: Refund", 0),
    ("tool called: cancel", 0),
]
FOR_A_JUDGE = ["The agent contains itself.", "contains", "contains:", "contains:  ", "tools called: refund", "It contains: x", ""]


@pytest.mark.parametrize(("criteria", "value"), DECIDED)
def test_what_can_be_decided_is(criteria: str, value: float) -> None:
    decide = decided(criteria)
    assert decide is not None
    assert decide(CASE).value == value


@pytest.mark.parametrize("criteria", FOR_A_JUDGE)
def test_everything_else_is_for_a_judge(criteria: str) -> None:
    assert decided(criteria) is None


def test_reasons_say_what_was_and_what_wasnt() -> None:
    reasons = [decide(CASE).reason for criteria in ("contains: x!", "tool called: cancel") if (decide := decided(criteria))]
    assert reasons == ["the assistant never said 'x!'", "the tool cancel was never called; called: refund"]
    silent = decided("contains: x")
    assert silent is not None
    assert silent(Case("q", "", "")).reason == "the assistant said nothing"
