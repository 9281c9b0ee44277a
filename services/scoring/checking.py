"""What is wrong with evaluators, told before anything is run with them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from services.scoring import mapping, schemas
from services.scoring.entities import Evaluator
from services.scoring.registry import Registry, Template

# A key is shown to the judge as the name of a text.
KEY = re.compile(r"\w[\w .-]{0,63}")
MOST_NAME = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: which evaluator, from 0, which field of it, and what."""

    index: int
    field: str
    message: str
    unknown_template: bool = False


def faults(registry: Registry, evaluators: Sequence[Evaluator]) -> list[Fault]:
    """Everything that is wrong with evaluators that are to judge together."""
    return [
        Fault(index, field, message, field == "template")
        for index, evaluator in enumerate(evaluators)
        for field, message in (
            *_name_faults([each.name for each in evaluators[:index]], evaluator.name),
            *evaluator_faults(registry, evaluator),
        )
    ]


def _name_faults(before: Sequence[str], name: str) -> Iterator[tuple[str, str]]:
    # An evaluator that is only being written down may have no name yet.
    if name and name in before:
        yield "name", "is used by another evaluator"
    if len(name) > MOST_NAME:
        yield "name", f"must have at most {MOST_NAME} characters"


def evaluator_faults(registry: Registry, evaluator: Evaluator) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) of one evaluator."""
    template = registry.get(evaluator.template)
    if template is None:
        yield "template", "is no template" if evaluator.template else "is required"
        return
    yield from _mapping_faults(template, evaluator.mapping)
    yield from settings_faults(template, evaluator.settings)
    if evaluator.passing_score is not None and not 0 <= evaluator.passing_score <= 1:
        yield "passing_score", "must be between 0 and 1"


def _mapping_faults(template: Template, mapped: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key in template.required_keys:
        if not mapped.get(key):
            yield f"mapping.{key}", "is required"
    for key, source in mapped.items():
        if not KEY.fullmatch(key):
            yield f"mapping.{key[:64]}", "is no name for a text"
        elif source and (told := mapping.fault(source)):
            yield f"mapping.{key}", told


def settings_faults(template: Template, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(config.<setting>, what is wrong). Settings that the template doesn't know are left alone: clients send their own."""
    known = {name: value for name, value in settings.items() if name in template.settings}
    for name in template.required_settings:
        if known.get(name) is None:
            yield f"config.{name}", "is required"
    found = schemas.faults({"type": "object", "properties": template.settings}, {k: v for k, v in known.items() if v is not None})
    yield from ((f"config{path.removeprefix('$')}", message) for path, message in found)
    if not found:
        yield from _unusable(known)


def _unusable(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What fits the template's schema and can't be used all the same."""
    if isinstance(pattern := settings.get("pattern"), str):
        try:
            regex.compile(pattern)
        except (regex.error, RecursionError) as fault:
            yield "config.pattern", f"can't be read: {fault}"
    if "schema" in settings:
        try:
            schemas.check(settings["schema"])
        except schemas.BadSchema as fault:
            yield "config.schema", str(fault)
    low, high = settings.get("min"), settings.get("max")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        yield "config.max", "must not be less than min"
