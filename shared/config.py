"""Configuration: environment → one frozen dataclass per service."""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TypeVar

T = TypeVar("T")


class ConfigError(Exception):
    """Names every setting that is missing or malformed, in one message."""


def read(config: type[T], environ: Mapping[str, str]) -> T:
    """Fills a dataclass from the environment: field `nats_url` comes from `ASSAY_NATS_URL`.

    Fields are `str`, `int`, `float` or `tuple[str, ...]` (comma-separated). Raises ConfigError naming all faults at once.
    """
    # get_type_hints, since a field's own .type is a string where annotations are postponed.
    hints = typing.get_type_hints(config)
    values: dict[str, object] = {}
    faults: list[str] = []
    for field in fields(typing.cast("typing.Any", config)):
        name = f"ASSAY_{field.name.upper()}"
        text = environ.get(name, "")
        if not text:
            if field.default is MISSING and field.default_factory is MISSING:
                faults.append(f"{name} is missing")
            continue
        try:
            values[field.name] = _parsed(text, hints[field.name])
        except ValueError:
            faults.append(f"{name} is not a valid {getattr(hints[field.name], '__name__', hints[field.name])}: {text!r}")
    if faults:
        raise ConfigError("; ".join(faults))
    return config(**values)


def _parsed(text: str, wanted: object) -> object:
    if isinstance(wanted, types.GenericAlias):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if wanted is int:
        return int(text)
    return float(text) if wanted is float else text
