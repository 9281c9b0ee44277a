"""The simulated world answers an agent's calls."""

from typing import Any

import pytest

from services.runner.toolbox import HANGUP, Toolbox

LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}, "result": {"stock": 3}}
NOTE = {"type": "function", "function": {"name": "note"}}
SAY = {"type": "function", "name": "say", "description": "Says it.", "result": "said"}


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("look", {}, ('{"stock":3}', True)),
        ("note", {"text": "x"}, ("{}", True)),
        ("say", {}, ("said", True)),
        ("look", "{broken", ('{"error":"the arguments are no JSON object"}', False)),
        ("dance", {}, ('{"error":"there is no tool of this name"}', False)),
    ],
)
def test_a_call_is_answered(name: str, arguments: Any, answer: tuple[str, bool]) -> None:
    assert Toolbox([LOOK, NOTE, SAY]).answer(name, arguments) == answer


def test_endpoints_are_sent_functions_without_their_results() -> None:
    assert Toolbox([LOOK, SAY, {"type": "hangup", "hangup": {}}, {"type": "webhook"}]).definitions == [
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "say", "description": "Says it."}},
        {"type": "function", "function": HANGUP},
    ]
