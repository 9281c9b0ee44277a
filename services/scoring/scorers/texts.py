"""What can be told of a text by looking at it: 1 or 0, and where."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import regex

from services.scoring import schemas
from services.scoring.entities import CannotScore, Found, Item, Span
from services.scoring.scorers import exact_match

Texts = Mapping[str, str]
Settings = Mapping[str, Any]
Check = Callable[[Texts, Settings], Found]

PATTERN_SECONDS = 0.25
# So many missing texts are named in a reason.
NAMED = 10
_SHOWN = 60
# Character for character, so that places in the text stay what they are.
_PLAIN_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u00a0", "''\"\" ")
_EMAIL = regex.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}-]{2,63}")
_LABEL = regex.compile(r"[\p{L}\p{N}_](?:[\p{L}\p{N}_-]{0,61}[\p{L}\p{N}_])?")


def equals(texts: Texts, settings: Settings) -> Found:
    """As exact_match."""
    expected, output = texts["expected"], texts["output"]
    if settings.get("ignore_case"):
        expected, output = expected.casefold(), output.casefold()
    score = exact_match.score(Item("", expected, output, "exact_match", 1.0))
    spans = () if settings.get("ignore_case") else tuple(Span("output", span.start, span.end) for span in score.evidence)
    return Found(score.score or 0.0, score.reason, spans)


def find(text: str, output: str, *, ignore_case: bool) -> tuple[int, int] | None:
    """Where a text stands first; any white space matches any, and so do the kinds of quotation marks."""
    match = _literal(text.translate(_PLAIN_QUOTES), ignore_case).search(output.translate(_PLAIN_QUOTES))
    return match.span() if match else None


@lru_cache(maxsize=4_096)
def _literal(text: str, ignore_case: bool) -> regex.Pattern[str]:  # noqa: FBT001 part of the key
    words = text.split()
    pattern = r"\s+".join(map(regex.escape, words)) if words else regex.escape(text)
    return regex.compile(pattern, regex.VERSION1 | (regex.IGNORECASE | regex.FULLCASE if ignore_case else 0))


def contains(texts: Texts, settings: Settings) -> Found:
    """1 if the text stands in the output."""
    span = find(settings["text"], texts["output"], ignore_case=bool(settings.get("ignore_case")))
    if span is None:
        return Found(0.0, f"{_shown(settings['text'])} is not in the output")
    return Found(1.0, f"{_shown(settings['text'])} is in the output", (Span("output", *span),))


def contains_all(texts: Texts, settings: Settings) -> Found:
    """The share of the texts that stand in the output."""
    places = _places(texts, settings)
    missing = [text for text, span in places.items() if span is None]
    reason = f"missing: {_named(missing)}" if missing else f"all {len(places)} are in the output"
    return Found((len(places) - len(missing)) / len(places), reason, _spans(places))


def contains_any(texts: Texts, settings: Settings) -> Found:
    """1 if one of the texts stands in the output."""
    places = _places(texts, settings)
    there = [text for text, span in places.items() if span is not None]
    return Found(1.0 if there else 0.0, f"in the output: {_named(there)}" if there else "none of them is in the output", _spans(places))


def contains_none(texts: Texts, settings: Settings) -> Found:
    """1 if none of the texts stands in the output."""
    found = contains_any(texts, settings)
    return Found(1.0 - found.value, found.reason, found.spans)


def _places(texts: Texts, settings: Settings) -> dict[str, tuple[int, int] | None]:
    ignore_case = bool(settings.get("ignore_case"))
    return {text: find(text, texts["output"], ignore_case=ignore_case) for text in settings["texts"]}


def _spans(places: Mapping[str, tuple[int, int] | None]) -> tuple[Span, ...]:
    return tuple(Span("output", *span) for span in places.values() if span is not None)


def starts_with(texts: Texts, settings: Settings) -> Found:
    """1 if the output begins with the text; white space before it is nothing."""
    output, text = _folded(texts["output"], settings).lstrip(), _folded(settings["text"], settings)
    holds = output.startswith(text.lstrip())
    return Found(float(holds), f"the output begins with {_shown(output)}")


def ends_with(texts: Texts, settings: Settings) -> Found:
    """1 if the output ends with the text; white space after it is nothing."""
    output, text = _folded(texts["output"], settings).rstrip(), _folded(settings["text"], settings)
    holds = output.endswith(text.rstrip())
    return Found(float(holds), f"the output ends with {_shown(output[-_SHOWN:])}")


def _folded(text: str, settings: Settings) -> str:
    return text.casefold() if settings.get("ignore_case") else text


def matches(texts: Texts, settings: Settings) -> Found:
    """1 if the pattern is found, or with `whole` if it is the whole output. Raises CannotScore for one that takes too long."""
    flags = regex.VERSION1 | (regex.IGNORECASE if settings.get("ignore_case") else 0)
    try:
        compiled = regex.compile(settings["pattern"], flags)
        seek = compiled.fullmatch if settings.get("whole") else compiled.search
        match = seek(texts["output"], timeout=PATTERN_SECONDS, concurrent=True)
    except TimeoutError:
        raise CannotScore(f"the pattern takes longer than {PATTERN_SECONDS} s") from None
    except (regex.error, RecursionError) as fault:
        raise CannotScore(f"the pattern can't be read: {fault}") from None
    if match is None:
        return Found(0.0, "the pattern doesn't match")
    return Found(1.0, f"the pattern matches {_shown(match[0])}", (Span("output", *match.span()),))


def is_json(texts: Texts, settings: Settings) -> Found:  # noqa: ARG001 a Check
    """1 if the output is JSON."""
    try:
        _json(texts["output"])
    except _NoJson as fault:
        return Found(0.0, str(fault), fault.spans)
    return Found(1.0, "the output is JSON")


def json_schema(texts: Texts, settings: Settings) -> Found:
    """1 if the output is JSON that fits the schema; the reason names the paths that don't. Raises CannotScore for a bad schema."""
    try:
        faults = schemas.faults(settings["schema"], _json(texts["output"]))
    except _NoJson as fault:
        return Found(0.0, str(fault), fault.spans)
    except schemas.BadSchema as fault:
        raise CannotScore(str(fault)) from None
    told = "; ".join(f"{path}: {message}" for path, message in faults[:NAMED])
    return Found(float(not faults), told or "the output fits the schema")


class _NoJson(ValueError):
    def __init__(self, message: str, spans: tuple[Span, ...] = ()) -> None:
        super().__init__(message)
        self.spans = spans


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as fault:
        spans = (Span("output", fault.pos, min(fault.pos + _SHOWN, len(text))),) if fault.pos < len(text) else ()
        raise _NoJson(f"no JSON: {fault.msg} at line {fault.lineno}, column {fault.colno}", spans) from None
    except (ValueError, RecursionError) as fault:
        raise _NoJson(f"no JSON: {fault}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def is_email(texts: Texts, settings: Settings) -> Found:  # noqa: ARG001 a Check
    """1 if the output is one e-mail address and nothing else."""
    holds = _EMAIL.fullmatch(texts["output"].strip()) is not None
    return Found(float(holds), "an e-mail address" if holds else f"{_shown(texts['output'])} is no e-mail address")


def is_url(texts: Texts, settings: Settings) -> Found:  # noqa: ARG001 a Check
    """1 if the output is one http or https URL and nothing else."""
    text = texts["output"].strip()
    holds = _is_url(text)
    return Found(float(holds), "a URL" if holds else f"{_shown(text)} is no http or https URL")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    named = ":" in host or all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split("."))
    return parts.scheme in {"http", "https"} and bool(host) and named and not regex.search(r"\s", text)


def one_line(texts: Texts, settings: Settings) -> Found:  # noqa: ARG001 a Check
    """1 if the output is one line, and not empty."""
    lines = len(texts["output"].strip().splitlines())
    return Found(float(lines == 1), f"{lines} lines" if lines != 1 else "one line")


def length(texts: Texts, settings: Settings) -> Found:
    """1 if the length lies within what is set: max exclusive alone, min exclusive alone, both inclusive together."""
    unit = settings.get("unit") or "characters"
    size = len(texts["output"].split()) if unit == "words" else len(texts["output"])
    low, high = settings.get("min"), settings.get("max")
    if low is not None and high is not None:
        holds, wanted = low <= size <= high, f"between {low} and {high}"
    elif high is not None:
        holds, wanted = size < high, f"less than {high}"
    else:
        holds, wanted = size > (low or 0), f"more than {low or 0}"
    return Found(float(holds), f"{size} {unit}, {wanted} wanted")


def _named(texts: list[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(map(_shown, texts[:NAMED])) + more


def _shown(text: str) -> str:
    return repr(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")


CHECKS: Mapping[str, Check] = {
    "equals": equals,
    "contains": contains,
    "contains_all": contains_all,
    "contains_any": contains_any,
    "contains_none": contains_none,
    "starts_with": starts_with,
    "ends_with": ends_with,
    "regex": matches,
    "is_json": is_json,
    "json_schema": json_schema,
    "is_email": is_email,
    "is_url": is_url,
    "one_line": one_line,
    "length_less_than": length,
    "length_greater_than": length,
    "length_between": length,
}
