"""Paging: the envelope {items, total, page, page_size, total_pages} and the limits of its parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.errors import Invalid

T = TypeVar("T")

DEFAULT_SIZE = 20
MAX_SIZE = 100
MAX_PAGE = 10_000_000


@dataclass(frozen=True)
class PageRequest:
    """Which page is wanted."""

    page: int = 1
    size: int = DEFAULT_SIZE

    @property
    def offset(self) -> int:
        """Items before this page."""
        return (self.page - 1) * self.size


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page and the number of items in all."""

    items: Sequence[T]
    total: int
    request: PageRequest

    @property
    def total_pages(self) -> int:
        """Pages in all; 0 when there is no item."""
        return -(-self.total // self.request.size)


def page_request(page: int | None, size: int | None) -> PageRequest:
    """Checks the parameters as they were sent, None for absent. Raises Invalid naming each wrong one."""
    wrong: dict[str, str] = {}
    if page is not None and not 1 <= page <= MAX_PAGE:
        wrong["page"] = f"must be from 1 to {MAX_PAGE}"
    if size is not None and not 1 <= size <= MAX_SIZE:
        wrong["page_size"] = f"must be from 1 to {MAX_SIZE}"
    if wrong:
        raise Invalid(wrong)
    return PageRequest(page or 1, size or DEFAULT_SIZE)
