"""What a version of an agent may be, and how endpoints are told of its tools."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.catalog.entities.agents import MAX_TOOLS, Definition, Outline
from services.catalog.entities.connections import Connection, Settings
from shared.errors import Invalid

ANY = UUID(int=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FUNCTION = {"type": "function", "function": {"name": "look_up", "strict": True, "parameters": {"type": "object"}}}
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


def a_connection(**said: Any) -> Connection:
    return Connection(ANY, ANY, Settings(**{"name": "c", "kind": "builtin", "model": "echo", **said}), None, 1, NOW, NOW)


@pytest.mark.parametrize(
    ("tool", "function"),
    [
        (FUNCTION, FUNCTION["function"]),
        ({"type": "function", "name": "f", "parameters": {"type": "object"}}, {"name": "f", "parameters": {"type": "object"}}),
        ({"name": "f", "description": "does"}, {"name": "f", "description": "does", "parameters": NOTHING}),
        (
            {"type": "webhook", "webhook": {"name": "w", "url": "http://x", "body_parameters": {"type": "object"}}},
            {"name": "w", "parameters": {"type": "object"}},
        ),
        ({"type": "hangup", "hangup": {"description": "ends"}}, {"name": "hangup", "description": "ends", "parameters": NOTHING}),
    ],
)
def test_every_tool_is_a_function_to_an_endpoint(tool: dict[str, Any], function: dict[str, Any]) -> None:
    assert Definition(ANY, tools=(tool,)).functions() == [{"type": "function", "function": function}]


@pytest.mark.parametrize("tool", ["look_up", {}, {"description": "d"}, {"type": 3}, {"type": 3, "name": 3}, None])
def test_a_tool_is_an_object_with_a_name(tool: Any) -> None:
    assert Definition(ANY, tools=(FUNCTION, tool)).faults() == {"tools[1]": "must be an object with a type or a name"}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"instructions": "i" * 100_001}, "instructions"),
        ({"model": "m" * 256}, "model"),
        ({"language": ""}, "language"),
        ({"tools": (FUNCTION,) * (MAX_TOOLS + 1)}, "tools"),
    ],
)
def test_a_wrong_part_is_named(said: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match=field):
        Definition(ANY, **said).checked()


@pytest.mark.parametrize("said", [{"name": ""}, {"description": "d" * 5001}, {"agent_type": ""}])
def test_a_wrong_outline_is_named(said: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=next(iter(said))):
        Outline(**{"name": "n", **said}).checked()


@pytest.mark.parametrize(
    ("model", "connection", "answers"),
    [
        (None, a_connection(), "echo"),
        ("answerer-good", a_connection(), "answerer-good"),
        ("gpt-large", a_connection(), "echo"),
        ("gpt-large", a_connection(kind="openai", model="gpt-small"), "gpt-large"),
        (None, a_connection(kind="openai", model=None), None),
    ],
)
def test_a_builtin_connection_answers_with_a_model_of_its_own(model: str | None, connection: Connection, answers: str | None) -> None:
    assert Definition(ANY, model=model).model_on(connection) == answers
