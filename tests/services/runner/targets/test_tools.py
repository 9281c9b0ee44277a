"""What targets tell beside their text."""

from typing import Any

import pytest

from services.runner.targets import ToolCall
from services.runner.targets.tools import read_arguments, read_tool_calls, read_usage


def deep(levels: int) -> dict[str, Any]:
    return {"x": deep(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
        ("[1]", "[1]"),
        ("{broken", "{broken"),
        ("\ud800", "\ud800"),
        (3, "3"),
    ],
)
def test_arguments_are_an_object_or_what_stood_there(said: Any, read: Any) -> None:
    assert read_arguments(said) == read


def test_arguments_that_nest_too_deeply_stay_text() -> None:
    assert isinstance(read_arguments(deep(15)), dict)
    assert isinstance(read_arguments(deep(16)), str)


def test_calls_are_read_and_a_missing_id_is_made_up() -> None:
    said = [{"id": "a", "function": {"name": "look", "arguments": "{}"}}, {"function": {"name": "look", "arguments": "{}"}}]
    assert read_tool_calls(said) == (ToolCall("a", "look", {}), ToolCall("call_2", "look", {}))
    assert read_tool_calls(None) == ()
    assert len(read_tool_calls(said * 50)) == 32


@pytest.mark.parametrize("said", [3, {"a": 1}, [1], [{}], [{"function": {}}], [{"function": {"name": 3}}], ["x"]])
def test_what_is_no_call_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="no tool calls"):
        read_tool_calls(said)


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (
            {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4, "details": {}},
            {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        ),
        ({"total_tokens": 4.5}, None),
        ({"total_tokens": -1}, None),
        ([], None),
        (None, None),
    ],
)
def test_usage_is_what_the_endpoint_counted(said: Any, usage: Any) -> None:
    assert read_usage(said) == usage
