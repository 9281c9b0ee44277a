"""JSON schemas that others wrote: nothing is fetched for them, and no pattern of theirs runs for long."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import regex
from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

PATTERN_SECONDS = 0.25
MOST_SCHEMA_CHARS = 100_000


class BadSchema(ValueError):
    """A schema that can't be used; the message says why."""


def check(schema: object) -> None:
    """Raises BadSchema."""
    if len(text := json.dumps(schema)) > MOST_SCHEMA_CHARS:
        raise BadSchema("the schema is too long")
    if '"patternProperties"' in text:
        # The library matches these itself, with no limit of time.
        raise BadSchema("patternProperties can't be used")
    try:
        Draft202012Validator.check_schema(schema)  # type: ignore[arg-type] # whatever it is, it says so
    except SchemaError as fault:
        raise BadSchema(f"the schema is invalid at {fault.json_path}: {fault.message[:200]}") from None


def faults(schema: object, value: object) -> list[tuple[str, str]]:
    """(path, what is wrong) of a value, e.g. ("$.city", "5 is not of type 'string'"). Raises BadSchema."""
    check(schema)
    try:
        found = _Validator(schema, registry=Registry()).iter_errors(value)
        return [(error.json_path, error.message[:300]) for error in found]
    except Unresolvable as away:
        raise BadSchema(f"the schema points to {away.ref!r}, which is not in it") from None
    except RecursionError:
        raise BadSchema("the schema points to itself without end") from None


def _pattern(validator: Any, pattern: str, instance: object, schema: Mapping[str, Any]) -> Iterator[ValidationError]:  # noqa: ARG001 its signature
    if not isinstance(instance, str):
        return
    try:
        matches = regex.search(pattern, instance, timeout=PATTERN_SECONDS, concurrent=True)
    except TimeoutError:
        raise BadSchema(f"the pattern {pattern[:100]!r} takes too long") from None
    except regex.error as fault:
        raise BadSchema(f"the pattern {pattern[:100]!r} can't be read: {fault}") from None
    if not matches:
        yield ValidationError(f"{instance[:100]!r} does not match {pattern[:100]!r}")


_Validator: Any = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
