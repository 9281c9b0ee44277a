"""What is wrong with evaluators is told before a run."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.scoring import mapping, registry
from services.scoring.checking import Fault, faults
from services.scoring.entities import Evaluator

REGISTRY = registry.load()


def found(*evaluators: Evaluator) -> list[tuple[int, str, str]]:
    return [(fault.index, fault.field, fault.message) for fault in faults(REGISTRY, evaluators)]


def test_the_documented_evaluators_are_fine() -> None:
    both = {"input": "transcript", "output": "transcript"}
    assert found(Evaluator("task_completion", "task_completion", both), Evaluator("is_polite", "is_polite", {"output": "transcript"})) == []


def test_a_template_may_be_named_by_its_id() -> None:
    assert found(Evaluator("polite", "122a4e83-4c5e-4a17-bcfc-1d29affba6f9", {"output": "output"})) == []


@pytest.mark.parametrize("source", [*mapping.SOURCES[:-1], "metadata.city", "metadata.address.city", "metadata.the city"])
def test_every_source_is_known(source: str) -> None:
    assert found(Evaluator("polite", "is_polite", {"output": source})) == []


@pytest.mark.parametrize("source", ["transcripts", "metadata", "metadata.", "case", "case.id", " output", "Output", "metadata. x"])
def test_an_unknown_source_is_told(source: str) -> None:
    [(index, field, message)] = found(
        Evaluator("ok", "one_line", {"output": "output"}), Evaluator("polite", "is_polite", {"output": source})
    )[:1]
    assert (index, field) == (1, "mapping.output")
    assert message == f"must be one of {', '.join(mapping.SOURCES)}"


def test_an_unknown_template_is_told_as_such() -> None:
    assert faults(REGISTRY, [Evaluator("x", "is_telepathic")]) == [Fault(0, "template", "is no template", unknown_template=True)]
    assert found(Evaluator("x", "")) == [(0, "template", "is required")]


def test_every_missing_key_is_told() -> None:
    assert found(Evaluator("x", "task_completion", {"output": ""})) == [
        (0, "mapping.input", "is required"),
        (0, "mapping.output", "is required"),
    ]


def test_further_keys_are_welcome_if_they_can_be_read() -> None:
    assert found(Evaluator("x", "is_polite", {"output": "output", "context": "context"})) == []
    assert found(Evaluator("x", "is_polite", {"output": "output", "con]\ntext": "context"})) == [
        (0, "mapping.con]\ntext", "is no name for a text")
    ]
    assert [field for _, field, _ in found(Evaluator("x", "is_polite", {"output": "output", "more": "magic"}))] == ["mapping.more"]


SETTINGS: list[tuple[str, Mapping[str, Any], str, str]] = [
    ("contains", {}, "config.text", "is required"),
    ("contains", {"text": None}, "config.text", "is required"),
    ("contains", {"text": 5}, "config.text", "5 is not of type 'string'"),
    ("contains_all", {"texts": ["a", ""]}, "config.texts[1]", "'' should be non-empty"),
    ("regex", {"pattern": "("}, "config.pattern", "can't be read: missing ) at position 1"),
    ("json_schema", {"schema": {"type": "strin"}}, "config.schema", "the schema is invalid at $.type: 'strin' is not valid"),
    ("json_schema", {"schema": {"patternProperties": {}}}, "config.schema", "patternProperties can't be used"),
    ("length_between", {"min": 5, "max": 2}, "config.max", "must not be less than min"),
    ("rouge", {"type": "rouge9"}, "config.type", "'rouge9' is not one of"),
    ("rubric_criterion", {"criteria": "  "}, "config.criteria", "'  ' does not match"),
    ("rubric_criterion", {}, "config.criteria", "is required"),
    ("tool_call_accuracy", {"mode": "loose"}, "config.mode", "'loose' is not one of"),
    ("tool_call_accuracy", {"expected": [{"arguments": {}}]}, "config.expected[0]", "'name' is a required property"),
]


@pytest.mark.parametrize(("template", "settings", "field", "says"), SETTINGS, ids=range(len(SETTINGS)))
def test_wrong_settings_are_told(template: str, settings: Mapping[str, Any], field: str, says: str) -> None:
    [(_, where, message)] = found(Evaluator("x", template, {"output": "output", "expected": "case.expected_response"}, settings))
    assert where == field
    assert message.startswith(says)


def test_settings_of_other_products_are_left_alone() -> None:
    assert found(Evaluator("x", "is_polite", {"output": "output"}, {"mapping": {"a": "b"}, "config": {}, "reasonColumn": True})) == []


@pytest.mark.parametrize("passing_score", [-0.1, 1.1])
def test_a_passing_score_lies_between_0_and_1(passing_score: float) -> None:
    assert found(Evaluator("x", "one_line", {"output": "output"}, passing_score=passing_score)) == [
        (0, "passing_score", "must be between 0 and 1")
    ]


def test_a_name_is_used_once() -> None:
    polite = Evaluator("x", "is_polite", {"output": "output"})
    assert found(polite, polite) == [(1, "name", "is used by another evaluator")]
    nameless = Evaluator("", "is_polite", {"output": "output"})
    assert found(nameless, nameless) == []
    assert [field for _, field, _ in found(Evaluator("x" * 201, "is_polite", {"output": "output"}))] == ["name"]
