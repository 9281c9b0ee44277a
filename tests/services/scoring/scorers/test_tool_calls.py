"""Tool calls: each fault alone, and what was expected in every mode."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.scoring.cases import Case
from services.scoring.entities import CannotScore, NotApplicable
from services.scoring.scorers.tool_calls import TOOLS_UNKNOWN, score

CITY = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": CITY}},
    {"type": "webhook", "webhook": {"name": "book"}},
    {"name": "plain"},
]
Call = tuple[str, Any]


def a_case(*calls: Call, answers: Sequence[str] = (), says: str = "", tools: Any = TOOLS, **record: Any) -> Case:
    """A conversation in which each call has a turn of its own, and an answer if there is one."""
    transcript: list[dict[str, Any]] = [{"role": "user", "content": "Hello."}]
    transcript += [{"role": "assistant", "content": says}] if says else []
    for number, (name, arguments) in enumerate(calls):
        transcript.append({"role": "assistant", "tool_calls": [{"id": f"c{number}", "name": name, "arguments": arguments}]})
        if number < len(answers):
            transcript.append({"role": "tool", "tool_call_id": f"c{number}", "content": answers[number]})
    return Case("", "", "", record={"transcript": transcript, "tools": tools, **record})


def reason(case: Case, **settings: Any) -> str:
    return score(case, settings).reason.partition("; ")[2]


def test_calls_that_are_right_are_worth_1() -> None:
    found = score(a_case(("weather", {"city": "Rome"}), ("book", '{"a": 1}'), ("plain", "")), {})
    assert (found.value, found.reason, found.warnings) == (1.0, "3 of 3 tool calls are right", ())


FAULTS: list[tuple[Case, str]] = [
    (a_case(("fly", {})), "call 1 (fly) is no tool of the agent"),
    (a_case(("weather", {})), "call 1 (weather) has wrong arguments at $: 'city' is a required property"),
    (a_case(("weather", {"city": "Rome", "days": "2"})), "call 1 (weather) has wrong arguments at $.days: '2' is not of type 'integer'"),
    (a_case(("weather", "Rome")), "call 1 (weather) has arguments that are no JSON object"),
    (a_case(("weather", "[1]")), "call 1 (weather) has arguments that are no JSON object"),
    (a_case(("plain", {}), answers=['{"error": "no such user"}']), "call 1 (plain) returned an error: no such user"),
    (a_case(("plain", {}), answers=["Error: it broke"]), "call 1 (plain) returned an error: Error: it broke"),
    (a_case(("plain", {}), says="I've just booked it."), 'the agent says "I\'ve just booked" and had called nothing'),
]


@pytest.mark.parametrize(("case", "told"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_is_told_with_its_call(case: Case, told: str) -> None:
    assert reason(case) == told
    assert score(case, {}).value < 1


def test_a_call_that_comes_twice_is_told_unless_that_is_allowed() -> None:
    case = a_case(("weather", {"city": "Rome"}), ("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"}))
    assert reason(case) == "call 2 (weather) repeats an earlier call"
    assert score(case, {}).value == pytest.approx(2 / 3)
    assert score(case, {"allow_duplicates": True}).value == 1


def test_what_failed_and_was_tried_again_is_right() -> None:
    again = a_case(("plain", {}), ("plain", {}), answers=['{"error": "busy"}', "done"])
    assert score(again, {}).value == 1
    assert score(a_case(("plain", {}), ("plain", {}), answers=["done", '{"error": "busy"}']), {}).value == 0.5


def test_a_result_that_only_speaks_of_errors_is_none() -> None:
    assert score(a_case(("plain", {}), answers=['{"error": null, "rows": []}']), {}).value == 1
    assert score(a_case(("plain", {}), answers=["No errors found"]), {}).value == 1


def test_forbidden_calls_are_told() -> None:
    assert reason(a_case(("plain", {})), forbidden=["plain"]) == "call 1 (plain) is forbidden"
    case = a_case(("plain", {}), expected_tool_calls={"forbidden": ["plain"], "calls": []})
    assert reason(case) == "call 1 (plain) is forbidden"


def test_where_tools_are_not_known_that_is_said() -> None:
    assert score(a_case(("fly", {}), tools=None), {}).warnings == (TOOLS_UNKNOWN,)
    assert score(a_case(("fly", {}), tools=None), {}).value == 1


@pytest.mark.parametrize("says", ["", "I have booked it."])
def test_none_expected_and_none_made_is_not_applicable(says: str) -> None:
    with pytest.raises(NotApplicable, match=r"no tool call was expected and none was made" + ("; but the agent claims" if says else "$")):
        score(a_case(says=says), {})


def test_what_a_user_claims_to_call_is_no_call() -> None:
    forged = [{"role": "user", "content": "x", "tool_calls": [{"id": "1", "name": "plain", "arguments": "{}"}]}]
    with pytest.raises(NotApplicable):
        score(Case("", "", "", record={"transcript": forged}), {})


A, B, C = {"name": "plain", "arguments": {"n": 1}}, {"name": "plain", "arguments": {"n": 2}}, {"name": "book"}
MODES: list[tuple[str, list[Any], list[Call], float]] = [
    ("strict", [A, C], [("plain", {"n": 1}), ("book", {})], 1),
    ("strict", [A, C], [("book", {}), ("plain", {"n": 1})], 0.5),
    ("strict", [A], [("plain", {"n": 1}), ("book", {})], 0.5),
    ("strict", [A, B, C], [("plain", {"n": 1}), ("book", {})], 2 / 3),
    ("unordered", [A, C], [("book", {}), ("plain", {"n": 1})], 1),
    ("unordered", [A], [("plain", {"n": 1}), ("book", {})], 0.5),
    ("unordered", [A, B], [("plain", {"n": 1})], 0.5),
    ("superset", [A], [("plain", {"n": 1}), ("book", {})], 1),
    ("superset", [A, C], [("plain", {"n": 1})], 0.5),
    ("superset", [A], [("plain", {"n": 9})], 0),
    ("subset", [A, C], [("plain", {"n": 1})], 1),
    ("subset", [A, C], [], 1),
    ("subset", [A], [("book", {})], 0),
    ("superset", [C], [], 0),
]


@pytest.mark.parametrize(("mode", "expected", "calls", "value"), MODES, ids=range(len(MODES)))
def test_expected_calls_by_mode(mode: str, expected: list[Any], calls: list[Call], value: float) -> None:
    by_case = a_case(*calls, expected_tool_calls={"mode": mode, "calls": expected})
    assert score(by_case, {}).value == pytest.approx(value)
    assert score(a_case(*calls), {"mode": mode, "expected": expected}).value == pytest.approx(value)


def test_what_differs_from_the_expected_is_told() -> None:
    case = a_case(("plain", {"n": 9}), expected_tool_calls=[A, C])
    assert reason(case) == "call 1 (plain) has n 9, expected 1; book was never called as expected"


def test_a_call_that_fits_two_expectations_leaves_the_one_that_another_needs() -> None:
    expected = [{"name": "plain"}, A]
    assert score(a_case(("plain", {"n": 1}), ("plain", {"n": 7})), {"mode": "unordered", "expected": expected}).value == 1


COMPARATORS: list[tuple[Any, Any, Any, bool]] = [
    (1, 1.0, "exact", True),
    (1, True, "exact", False),
    ("a", "b", "ignore", True),
    (10, 10.4, {"tolerance": 0.5}, True),
    (10, 11, {"tolerance": 0.5}, False),
    (10, "10", {"tolerance": 0.5}, False),
    (r"\d+", "42", "regex", True),
    (r"\d+", "42a", "regex", False),
    ("Main Street 5", "Main Street, 5", "similarity", True),
    ("Main Street 5", "Park Avenue", "similarity", False),
    ("abcd", "abxx", {"similarity": 0.5}, True),
]


@pytest.mark.parametrize(("wanted", "got", "comparator", "agree"), COMPARATORS, ids=range(len(COMPARATORS)))
def test_arguments_agree_by_their_comparator(wanted: Any, got: Any, comparator: Any, agree: bool) -> None:  # noqa: FBT001 a parameter of the test
    expected = [{"name": "plain", "arguments": {"x": wanted}, "comparators": {"x": comparator}}]
    assert score(a_case(("plain", {"x": got})), {"expected": expected}).value == float(agree)


def test_an_argument_too_many_or_too_few_differs_unless_it_is_ignored() -> None:
    expected = {"name": "plain", "arguments": {"a": 1}}
    assert score(a_case(("plain", {"a": 1, "b": 2})), {"expected": [expected]}).value == 0
    assert score(a_case(("plain", {})), {"expected": [expected]}).value == 0
    ignoring = {**expected, "comparators": {"b": "ignore"}}
    assert score(a_case(("plain", {"a": 1, "b": 2})), {"expected": [ignoring]}).value == 1


UNREADABLE: list[tuple[Any, str]] = [
    ("weather", "are no list"),
    ([{}], "has no name"),
    ([{"name": "a", "arguments": 5}], "are no object"),
    ({"mode": "loose", "calls": []}, "unknown mode 'loose'"),
    ([{"name": "plain", "arguments": {"a": 1}, "comparators": {"a": "guess"}}], "unknown comparator 'guess'"),
    ([{"name": "plain", "arguments": {"a": "("}, "comparators": {"a": "regex"}}], "can't be read"),
]


@pytest.mark.parametrize(("expected", "says"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_expectations_that_cant_be_read_are_no_verdict(expected: Any, says: str) -> None:
    with pytest.raises(CannotScore, match=says):
        score(a_case(("plain", {"a": 1}), expected_tool_calls=expected), {})


def test_a_tools_schema_that_cant_be_used_is_no_verdict() -> None:
    tools = [{"name": "plain", "parameters": {"type": "strin"}}]
    with pytest.raises(CannotScore, match="the parameters of the tool plain can't be used"):
        score(a_case(("plain", {}), tools=tools), {})
