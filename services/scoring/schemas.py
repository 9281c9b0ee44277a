"""JSON schemas that others wrote: nothing is fetched for them, and no pattern of theirs runs for long."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
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
    _validator(json.dumps(schema))


def faults(schema: object, value: object) -> list[tuple[str, str]]:
    """(path, what is wrong) of a value, e.g. ("$.city", "5 is not of type 'string'"). Raises BadSchema."""
    validator = _validator(json.dumps(schema))
    try:
        return [(error.json_path, error.message[:300]) for error in validator.iter_errors(value)]
    except Unresolvable as away:
        raise BadSchema(f"the schema points to {away.ref!r}, which is not in it") from None
    except RecursionError:
        raise BadSchema("the schema points to itself without end") from None


# The cases of a run share their schemas, and checking one costs more than using it.
@lru_cache(maxsize=512)
def _validator(text: str) -> Any:
    if len(text) > MOST_SCHEMA_CHARS:
        raise BadSchema("the schema is too long")
    if '"patternProperties"' in text:
        # The library matches these itself, with no limit of time.
        raise BadSchema("patternProperties can't be used")
    schema = json.loads(text)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as fault:
        raise BadSchema(f"the schema is invalid at {fault.json_path}: {fault.message[:200]}") from None
    # An empty registry: nothing is fetched.
    return _Validator(schema, registry=Registry())


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
