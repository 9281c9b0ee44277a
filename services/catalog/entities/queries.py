"""What a list may be asked: filters and sorting, as they were sent, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from services.catalog.entities import faults
from services.catalog.entities.test_cases import METHODS
from shared.errors import Invalid
from shared.pages import PageRequest

SET_SORTS = ("name", "test_case_count", "last_run_at", "last_run_pass_rate")
CASE_SORTS = ("question", "expected_response", "test_method", "order")
ORDERS = ("asc", "desc")


@dataclass(frozen=True)
class Sort:
    """By what, and in which direction."""

    by: str
    descending: bool


@dataclass(frozen=True)
class CaseFilter:
    """Which cases: those judged by one of `methods` (empty: any) whose question holds `question`."""

    methods: tuple[str, ...] = ()
    question: str = ""

    @property
    def filters(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.methods or self.question)


@dataclass(frozen=True)
class SetQuery:
    """A page of a context's test sets."""

    page: PageRequest
    sort: Sort
    search: str = ""


@dataclass(frozen=True)
class CaseQuery:
    """A page of a set's cases."""

    page: PageRequest
    sort: Sort
    filter: CaseFilter


def sort_of(by: str, order: str, allowed: Sequence[str]) -> Sort:
    """Checks sort_by and sort_order. Raises Invalid naming each unknown value."""
    faults.refuse({**faults.one_of("sort_by", by, allowed), **faults.one_of("sort_order", order, ORDERS)})
    return Sort(by, order == "desc")


def case_filter(text: str) -> CaseFilter:
    """Reads `filters`, a JSON object; unknown keys are ignored. Raises Invalid naming what is wrong."""
    if not text:
        return CaseFilter()
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Invalid({"filters": "must be JSON"}) from None
    if not isinstance(parsed, dict):
        raise Invalid({"filters": "must be a JSON object"})
    return CaseFilter(_methods(parsed.get("test_method")), _question(parsed.get("question")))


def _methods(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(method, str) for method in value):
        raise Invalid({"filters.test_method": "must be an array of test methods"})
    for method in value:
        faults.refuse(faults.one_of("filters.test_method", method, METHODS))
    return tuple(value)


def _question(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid({"filters.question": "must be a text"})
    # Escaped inside JSON it got past the check of the request's own texts.
    if "\0" in value:
        raise Invalid({"filters.question": "must not contain U+0000"})
    return value
