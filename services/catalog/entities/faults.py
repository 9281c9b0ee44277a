"""What can be wrong with a field: each check returns {} or {field: what is wrong}, so that a request names every fault at once."""

from collections.abc import Collection, Mapping

from shared.errors import Invalid

MAX_NAME = 255

Faults = Mapping[str, str]


def refuse(faults: Faults) -> None:
    """Raises Invalid if there is any fault."""
    if faults:
        raise Invalid(faults)


def length(field: str, text: str | None, most: int, least: int = 0) -> Faults:
    """A text of `least` to `most` characters; None passes."""
    if text is None:
        return {}
    if len(text) < least:
        return {field: "must not be empty"}
    if len(text) > most:
        return {field: f"must have at most {most} characters"}
    return {}


def name(text: str) -> Faults:
    """The name of anything: 1-255 characters."""
    return length("name", text, MAX_NAME, least=1)


def within(field: str, value: float | None, least: float, most: float) -> Faults:
    """A number from `least` to `most`; None passes."""
    if value is None or least <= value <= most:
        return {}
    return {field: f"must be from {least} to {most}"}


def one_of(field: str, value: str, allowed: Collection[str]) -> Faults:
    """One of a few names."""
    return {} if value in allowed else {field: f"must be one of {', '.join(allowed)}"}
