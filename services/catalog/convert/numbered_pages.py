"""The pages of family B: ?page and ?limit, answered with the URLs of the pages beside."""

from typing import Any
from urllib.parse import urlencode

from google.protobuf.message import Message

from services.catalog.convert import fields
from shared.errors import Invalid
from shared.json_values import value
from shared.pages import MAX_PAGE, MAX_SIZE, Page, PageRequest

DEFAULT_LIMIT = 10


def wanted(request: Message) -> PageRequest:
    """Which page a list request asks for. Raises Invalid naming each wrong parameter."""
    sent = fields.given(request, ("page", "limit"))
    limits = {"page": MAX_PAGE, "limit": MAX_SIZE}
    wrong = {name: f"must be from 1 to {limits[name]}" for name, number in sent.items() if not 1 <= number <= limits[name]}
    if wrong:
        raise Invalid(wrong)
    return PageRequest(sent.get("page", 1), sent.get("limit", DEFAULT_LIMIT))


def envelope(found: Page[Any], request: Message, url: str) -> dict[str, Any]:
    """What a page tells beside its results; `url`: where the list is, without its query."""
    number, last = found.request.page, found.total_pages
    return {
        "count": found.total,
        "next": value(_link(request, url, number + 1) if number < last else None),
        "previous": value(_link(request, url, min(number - 1, last)) if number > 1 and last else None),
        "total_pages": last,
        "current_page": number,
    }


def _link(request: Message, url: str, page: int) -> str:
    kept = fields.given(request, [name for name in ("limit", "search") if name in request.DESCRIPTOR.fields_by_name])
    return f"{url}?{urlencode({'page': page, **kept})}"
