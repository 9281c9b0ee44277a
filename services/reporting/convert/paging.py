"""Which page is wanted, where a family names its parameters otherwise, and links to the pages beside it."""

from typing import TypeVar
from urllib.parse import urlencode

from shared.errors import Invalid
from shared.pages import DEFAULT_SIZE, MAX_PAGE, MAX_SIZE, Page, PageRequest

T = TypeVar("T")


def wanted(number: tuple[str, int | None], size: tuple[str, int | None], default: int = DEFAULT_SIZE) -> PageRequest:
    """Checks (name, value) of both parameters, the value None for absent. Raises Invalid naming each wrong one."""
    wrong = {
        name: f"must be from 1 to {most}"
        for (name, value), most in ((number, MAX_PAGE), (size, MAX_SIZE))
        if value is not None and not 1 <= value <= most
    }
    if wrong:
        raise Invalid(wrong)
    return PageRequest(number[1] or 1, size[1] or default)


def following(url: str, page: Page[T]) -> str | None:
    """The URL of the next page; None at the last."""
    return _link(url, page, page.request.page + 1) if page.request.page < page.total_pages else None


def preceding(url: str, page: Page[T]) -> str | None:
    """The URL of the page before, from beyond the last that of the last; None at the first."""
    return _link(url, page, min(page.request.page - 1, page.total_pages)) if page.request.page > 1 and page.total_pages else None


def _link(url: str, page: Page[T], number: int) -> str:
    return f"{url}?{urlencode({'page': number, 'limit': page.request.size})}"
