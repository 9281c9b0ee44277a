"""Messages with variables: which ones they name, and what becomes of them once those are filled in."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.catalog.entities import faults

ROLES = ("system", "user", "assistant", "function", "developer")
VARIABLE = re.compile(r"\{\{\s*([^{}\s](?:[^{}]*[^{}\s])?)\s*\}\}")

Json = Mapping[str, Any]


def variables_of(messages: Sequence[Json]) -> list[Json]:
    """[{name, required}] of every variable that the messages name, in order of appearance, all of them required."""
    names = (found[1] for message in messages for found in VARIABLE.finditer(message["content"]))
    return [{"name": name, "required": True} for name in dict.fromkeys(names)]


def filled(messages: Sequence[Json], variables: Sequence[Json], values: Json) -> list[Json]:
    """The messages with `values` in place of their variables; null stands for no value.

    An optional variable without a value is filled with nothing, and what is no variable stays as it is written. Raises
    Invalid naming each required variable without a value.
    """
    known = {name: _text(value) for name, value in values.items() if value is not None}
    missing = [variable["name"] for variable in variables if variable["required"] and variable["name"] not in known]
    faults.refuse({f"variables.{name}": "is required by the version of the prompt" for name in missing})
    texts = {**{variable["name"]: "" for variable in variables}, **known}
    return [{**message, "content": VARIABLE.sub(lambda found: texts.get(found[1], found[0]), message["content"])} for message in messages]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
