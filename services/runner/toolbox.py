"""The tools of an agent under test, and the simulated world that answers their calls. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

# An agent that calls one of these hangs up.
ENDING = frozenset({"hangup", "hang_up", "end_call", "end_chat", "end_conversation"})
HANGUP = {"name": "hangup", "description": "Ends the conversation.", "parameters": {"type": "object", "properties": {}}}
DESCRIBED = ("name", "description", "parameters", "strict")


class Toolbox:
    """Tools by name, from definitions as OpenAI spells them; `result` in one is what its calls are answered."""

    def __init__(self, definitions: Sequence[Mapping[str, Any]]) -> None:
        self._functions: dict[str, Mapping[str, Any]] = {}
        self._results: dict[str, Any] = {}
        for definition in definitions:
            function = _function(definition)
            if function is not None:
                self._functions[function["name"]] = function
                self._results[function["name"]] = definition.get("result", function.get("result"))

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """What an endpoint is sent: without the results, and no more than it knows."""
        return [
            {"type": "function", "function": {key: function[key] for key in DESCRIBED if key in function}}
            for function in self._functions.values()
        ]

    def answer(self, name: str, arguments: object) -> tuple[str, bool]:
        """What a call is answered, and whether it was one that could be made."""
        if name not in self._functions:
            return '{"error":"there is no tool of this name"}', False
        if not isinstance(arguments, Mapping):
            return '{"error":"the arguments are no JSON object"}', False
        result = self._results[name]
        if result is None:
            return "{}", True
        return (result if isinstance(result, str) else orjson.dumps(result).decode()), True


def _function(definition: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if definition.get("type") == "hangup":
        return HANGUP
    function = definition.get("function", definition)
    named = isinstance(function, Mapping) and isinstance(function.get("name"), str) and function["name"]
    return function if named else None
