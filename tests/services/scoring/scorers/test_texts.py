"""What can be told of a text by looking at it."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.scoring.entities import CannotScore, Found
from services.scoring.evaluations import CHECKS
from services.scoring.registry import load
from services.scoring.scorers.texts import find

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ROWS: list[tuple[str, Mapping[str, Any], str, float]] = [
    ("equals", {}, "Refunds  take\nfive days.", 1),
    ("equals", {}, "refunds take five days.", 0),
    ("equals", {"ignore_case": True}, "REFUNDS take five days.", 1),
    ("contains", {"text": "five days"}, "It takes five\n days", 1),
    ("contains", {"text": "five days"}, "It takes Five days", 0),
    ("contains", {"text": "five DAYS", "ignore_case": True}, "It takes Five days", 1),
    ("contains", {"text": "don't"}, "I don\u2019t know", 1),
    ("contains", {"text": "a.c"}, "abc", 0),
    ("contains", {"text": " "}, "a b", 1),
    ("contains_all", {"texts": ["a", "b", "c", "d"]}, "a b c", 0.75),
    ("contains_any", {"texts": ["x", "b"]}, "a b c", 1),
    ("contains_any", {"texts": ["x", "y"]}, "a b c", 0),
    ("contains_none", {"texts": ["x", "y"]}, "a b c", 1),
    ("contains_none", {"texts": ["x", "b"]}, "a b c", 0),
    ("starts_with", {"text": "Dear"}, "  Dear Ann", 1),
    ("starts_with", {"text": "dear"}, "Dear Ann", 0),
    ("starts_with", {"text": "dear", "ignore_case": True}, "Dear Ann", 1),
    ("ends_with", {"text": "bye."}, "Good bye.\n", 1),
    ("ends_with", {"text": "bye"}, "Good bye.", 0),
    ("regex", {"pattern": r"\d{4}"}, "in 2026", 1),
    ("regex", {"pattern": r"\d{4}", "whole": True}, "in 2026", 0),
    ("regex", {"pattern": "IN", "ignore_case": True}, "in 2026", 1),
    ("is_json", {}, ' {"a": [1, null]} ', 1),
    ("is_json", {}, "5", 1),
    ("is_json", {}, "{'a': 1}", 0),
    ("is_json", {}, "NaN", 0),
    ("is_json", {}, "", 0),
    ("is_json", {}, "[" * 100_000, 0),
    ("json_schema", {"schema": SCHEMA}, '{"n": 1}', 1),
    ("json_schema", {"schema": SCHEMA}, '{"n": "1"}', 0),
    ("json_schema", {"schema": SCHEMA}, "n = 1", 0),
    ("json_schema", {"schema": {"type": "string", "pattern": "^a+$"}}, '"aaa"', 1),
    ("json_schema", {"schema": {"type": "string", "pattern": "^a+$"}}, '"ab"', 0),
    ("is_email", {}, " ann.o'neil+x@mail.example.org ", 1),
    ("is_email", {}, "ann@localhost", 0),
    ("is_email", {}, "write to ann@example.org", 0),
    ("is_email", {}, "ann@-example.org", 0),
    ("is_url", {}, "https://example.org:8080/a?b=c#d", 1),
    ("is_url", {}, "http://[::1]/", 1),
    ("is_url", {}, "ftp://example.org", 0),
    ("is_url", {}, "https://", 0),
    ("is_url", {}, "https://exa mple.org", 0),
    ("is_url", {}, "https://example.org:port", 0),
    ("one_line", {}, "one line\n", 1),
    ("one_line", {}, "one\ntwo", 0),
    ("one_line", {}, "", 0),
    ("length_less_than", {"max": 3}, "ab", 1),
    ("length_less_than", {"max": 2}, "ab", 0),
    ("length_greater_than", {"min": 1, "unit": "words"}, "a b", 1),
    ("length_greater_than", {"min": 2, "unit": "words"}, "a b", 0),
    ("length_between", {"min": 2, "max": 2}, "ab", 1),
    ("length_between", {"min": 3, "max": 9}, "ab", 0),
]


def check(name: str, output: str, **settings: Any) -> Found:
    return CHECKS[name]({"expected": "Refunds take five days.", "output": output}, settings)


@pytest.mark.parametrize(("name", "settings", "output", "value"), ROWS, ids=[f"{n}-{row[0]}" for n, row in enumerate(ROWS)])
def test_a_text_is_told_by_its_looks(name: str, settings: Mapping[str, Any], output: str, value: float) -> None:
    found = check(name, output, **settings)
    assert found.value == value
    assert found.reason
    assert all(0 <= span.start < span.end <= len(output) for span in found.spans)


def test_every_deterministic_template_has_its_scorer() -> None:
    named = {template.name for template in load().all() if not template.needs_model}
    assert named - set(CHECKS) == {"tool_call_accuracy"}
    assert set(CHECKS) <= named


def test_spans_are_exact() -> None:
    output = "Call me at noon, or at one."
    found = check("contains_all", output, texts=["at noon", "at one"])
    assert [output[span.start : span.end] for span in found.spans] == ["at noon", "at one"]
    [forbidden] = check("contains_none", output, texts=["noon"]).spans
    assert output[forbidden.start : forbidden.end] == "noon"


def test_reasons_name_what_is_missing() -> None:
    assert check("contains_all", "a", texts=["a", "b"]).reason == "missing: 'b'"
    assert check("json_schema", '{"n": "1"}', schema=SCHEMA).reason == "$.n: '1' is not of type 'integer'"
    assert check("length_less_than", "abc", max=2).reason == "3 characters, less than 2 wanted"


@pytest.mark.parametrize(("pattern", "says"), [("(a|aa)+$", "takes longer than"), ("(", "can't be read")])
def test_a_pattern_that_never_ends_or_cant_be_read_is_no_verdict(pattern: str, says: str) -> None:
    with pytest.raises(CannotScore, match=says):
        check("regex", "a" * 60 + "b", pattern=pattern)


SCHEMAS: list[tuple[Any, str]] = [
    ({"type": "strin"}, "the schema is invalid at"),
    ({"$ref": "http://127.0.0.1:1/schema"}, "the schema points to 'http://127.0.0.1:1/schema', which is not in it"),
    ({"$ref": "#"}, "the schema points to itself without end"),
    ({"patternProperties": {"^(a+)+$": {}}}, "patternProperties can't be used"),
    ({"pattern": "(x|xx)+$"}, "takes too long"),
    ({"pattern": "("}, "'(' is not a 'regex'"),
    ({"enum": ["x" * 100_000]}, "the schema is too long"),
]


@pytest.mark.parametrize(("schema", "says"), SCHEMAS, ids=range(len(SCHEMAS)))
def test_a_schema_that_cant_be_used_is_no_verdict_and_fetches_nothing(schema: Any, says: str) -> None:
    with pytest.raises(CannotScore) as refused:
        check("json_schema", '"' + "x" * 64 + 'y"', schema=schema)
    assert says in str(refused.value)


def test_places_survive_folding_of_case() -> None:
    assert find("strasse", "in der Straße", ignore_case=True) == (7, 13)
