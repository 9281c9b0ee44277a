"""Rules of evaluators."""

import pytest

from services.catalog.entities.evaluators import MAX_TAGS, Rule


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Rule("", "t"), "name"),
        (Rule("n" * 256, "t"), "name"),
        (Rule("n", ""), "template"),
        (Rule("n", "t", passing_score=-0.1), "passing_score"),
        (Rule("n", "t", passing_score=1.1), "passing_score"),
        (Rule("n", "t", model="m" * 256), "model"),
        (Rule("n", "t", eval_group="g" * 256), "eval_group"),
        (Rule("n", "t", reason_column="c" * 256), "reason_column"),
        (Rule("n", "t", tags=("t",) * (MAX_TAGS + 1)), "tags"),
    ],
)
def test_a_wrong_value_is_named(rule: Rule, field: str) -> None:
    assert list(rule.faults()) == [field]


def test_a_rule_needs_a_name_and_a_template_alone() -> None:
    assert not Rule("n" * 255, "t", passing_score=1).faults()
