"""Messages with variables."""

from typing import Any

import pytest

from services.catalog.entities.prompt_messages import filled, variables_of
from shared.errors import Invalid


def a_text(content: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("no variable", []),
        ("{{a}} {{ b }}{{a}}", ["a", "b"]),
        ("{{first name}}", ["first name"]),
        ("{{a.b-c_1}} {{ü}}", ["a.b-c_1", "ü"]),
        ("{a} {{}} {{ }} {{a", []),
        ("{{{a}}}", ["a"]),
        ('{"json": {"a": {}}}', []),
    ],
)
def test_a_variable_stands_between_double_braces(content: str, names: list[str]) -> None:
    assert variables_of(a_text(content)) == [{"name": name, "required": True} for name in names]


@pytest.mark.parametrize(
    ("content", "values", "text"),
    [
        ("{{a}}, {{ a }}", {"a": "x"}, "x, x"),
        ("{{a}}", {"a": "{{b}}", "b": "never looked at again"}, "{{b}}"),
        ("{{a}}", {"a": r"\1 \g<0>"}, r"\1 \g<0>"),
        ("{{a}}", {"a": 3}, "3"),
        ("{{a}}", {"a": {"k": [1, None]}}, '{"k":[1,null]}'),
        ("{{a}}", {"a": False}, "false"),
        ("{{a}}", {"a": ""}, ""),
    ],
)
def test_a_value_takes_the_place_of_its_variable(content: str, values: dict[str, Any], text: str) -> None:
    messages = a_text(content)
    assert filled(messages, variables_of(messages), values) == a_text(text)


def test_an_optional_variable_without_a_value_is_nothing() -> None:
    assert filled(a_text("[{{a}}]"), [{"name": "a", "required": False}], {"a": None}) == a_text("[]")


def test_what_is_no_variable_stays_as_it_is_written() -> None:
    assert filled(a_text("{{ a }} {{b}}"), [], {"b": "x"}) == a_text("{{ a }} x")


def test_every_missing_variable_is_named() -> None:
    messages = a_text("{{a}} {{b}} {{c}}")
    with pytest.raises(Invalid) as caught:
        filled(messages, variables_of(messages), {"b": "x"})
    assert set(caught.value.fields) == {"variables.a", "variables.c"}


def test_a_required_variable_is_missed_though_no_message_names_it() -> None:
    with pytest.raises(Invalid):
        filled(a_text("x"), [{"name": "a", "required": True}], {})
