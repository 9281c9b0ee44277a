"""Expected tool calls held against those made: which belong together, and what differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import regex
from rapidfuzz import fuzz

from services.scoring.cases import ToolCall
from services.scoring.entities import CannotScore

Mode = Literal["strict", "subset", "superset", "unordered"]
MODES: tuple[Mode, ...] = ("strict", "subset", "superset", "unordered")
# A text is similar enough at this, unless the comparator says otherwise.
SIMILAR = 0.8
PATTERN_SECONDS = 0.25
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Expected:
    """A call that should be made. arguments None: any will do. comparators by argument: "exact" (which is taken where there is
    none), "ignore", "regex" (the expected value is the pattern), "similarity", {"similarity": 0-1}, {"tolerance": number}.
    """

    name: str
    arguments: Mapping[str, Any] | None = None
    comparators: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Matched:
    """Which calls were expected (by their place), which were not, and what is missing or out of order."""

    right: frozenset[int]
    wrong: Mapping[int, str]
    missing: tuple[str, ...]


def read(raw: Any) -> tuple[Expected, ...]:
    """Expected calls as a case or a setting spells them. Raises CannotScore."""
    if not isinstance(raw, list):
        raise CannotScore("the expected tool calls are no list")
    return tuple(map(_expected, raw))


def _expected(raw: Any) -> Expected:
    told = raw.get("function", raw) if isinstance(raw, Mapping) else {"name": raw}
    if not isinstance(told, Mapping) or not isinstance(told.get("name"), str) or not told["name"]:
        raise CannotScore("an expected tool call has no name")
    arguments, comparators = told.get("arguments"), raw.get("comparators") if isinstance(raw, Mapping) else None
    if arguments is not None and not isinstance(arguments, Mapping):
        raise CannotScore(f"the expected arguments of {told['name']} are no object")
    return Expected(told["name"], arguments, comparators if isinstance(comparators, Mapping) else {})


def match(expected: Sequence[Expected], calls: Sequence[ToolCall], mode: Mode) -> Matched:
    """strict: the same calls in the same order; unordered: in any order; superset: others are allowed; subset: none has to be made."""
    pairs = _in_order(expected, calls) if mode == "strict" else _any_order(expected, calls)
    right = frozenset(made for _, made in pairs)
    wrong = {}
    left = [number for number in range(len(expected)) if number not in {wanted for wanted, _ in pairs}]
    for number, call in enumerate(calls):
        near = next((wanted for wanted in left if expected[wanted].name == call.name), None)
        if number in right or (mode == "superset" and near is None):
            continue
        if near is None:
            wrong[number] = "was not expected" + (" here" if mode == "strict" and _is_expected(expected, call) else "")
        else:
            left.remove(near)
            wrong[number] = difference(expected[near], call) or "was not expected here"
    missing = () if mode == "subset" else tuple(expected[number].name for number in left)
    return Matched(right, wrong, missing)


def _is_expected(expected: Sequence[Expected], call: ToolCall) -> bool:
    return any(difference(each, call) is None for each in expected)


def _in_order(expected: Sequence[Expected], calls: Sequence[ToolCall]) -> list[tuple[int, int]]:
    """The longest pairing that keeps the order, so that one call too many doesn't spoil all after it."""
    fits = [[difference(wanted, call) is None for call in calls] for wanted in expected]
    lengths = [[0] * (len(calls) + 1) for _ in range(len(expected) + 1)]
    for i in range(len(expected) - 1, -1, -1):
        for j in range(len(calls) - 1, -1, -1):
            lengths[i][j] = lengths[i + 1][j + 1] + 1 if fits[i][j] else max(lengths[i + 1][j], lengths[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(expected) and j < len(calls):
        if fits[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _any_order(expected: Sequence[Expected], calls: Sequence[ToolCall]) -> list[tuple[int, int]]:
    """A largest pairing: a call that fits two expectations leaves one to a call that fits only that."""
    fits = [[made for made, call in enumerate(calls) if difference(wanted, call) is None] for wanted in expected]
    taken: dict[int, int] = {}

    def place(wanted: int, tried: set[int]) -> bool:
        for made in fits[wanted]:
            if made not in tried:
                tried.add(made)
                if made not in taken or place(taken[made], tried):
                    taken[made] = wanted
                    return True
        return False

    for wanted in range(len(expected)):
        place(wanted, set())
    return sorted((wanted, made) for made, wanted in taken.items())


def difference(expected: Expected, call: ToolCall) -> str | None:
    """What differs between an expected call and one that was made; None if nothing that counts."""
    if expected.name != call.name:
        return f"is not {expected.name}"
    if expected.arguments is None:
        return None
    if isinstance(call.arguments, str):
        return "has arguments that are no JSON object"
    for name in (*expected.arguments, *(name for name in call.arguments if name not in expected.arguments)):
        wanted, got = expected.arguments.get(name, _NOTHING), call.arguments.get(name, _NOTHING)
        if not _agree(wanted, got, expected.comparators.get(name, "exact")):
            return f"has {name} {_shown(got)}, expected {_shown(wanted)}"
    return None


def _agree(wanted: Any, got: Any, comparator: Any) -> bool:
    if comparator == "ignore":
        return True
    if wanted is _NOTHING or got is _NOTHING:
        return False
    name, limit = next(iter(comparator.items()), ("exact", None)) if isinstance(comparator, Mapping) else (comparator, None)
    if name == "tolerance":
        return _is_number(wanted) and _is_number(got) and abs(wanted - got) <= (limit if _is_number(limit) else 0)
    if name == "regex":
        return _fits_pattern(str(wanted), str(got))
    if name == "similarity":
        return fuzz.ratio(str(wanted), str(got)) / 100 >= (SIMILAR if limit is None or not _is_number(limit) else limit)
    if name == "exact":
        # JSON knows true and 1 apart; Python doesn't.
        return bool(wanted == got) and isinstance(wanted, bool) == isinstance(got, bool)
    raise CannotScore(f"unknown comparator {str(name)[:40]!r}; known are exact, tolerance, regex, similarity, ignore")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits_pattern(pattern: str, text: str) -> bool:
    try:
        return regex.fullmatch(pattern, text, timeout=PATTERN_SECONDS, concurrent=True) is not None
    except TimeoutError:
        raise CannotScore(f"the pattern {pattern[:40]!r} takes too long") from None
    except (regex.error, RecursionError) as fault:
        raise CannotScore(f"the pattern {pattern[:40]!r} can't be read: {fault}") from None


def _shown(value: Any) -> str:
    return "nothing" if value is _NOTHING else repr(value)[:80]
