"""Fields of requests and answers that every resource has: ids, times, optional values, enums, pages."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.catalog.entities.faults import Faults
from shared.errors import Invalid
from shared.ids import canonical_id
from shared.pages import Page, PageRequest, page_request

NONE: Faults = {}
PROJECT_PAGE_SIZE = 30


class NamedValues(Protocol):
    """An enum as protobuf generates it."""

    def Name(self, number: Any) -> str:  # noqa: N802 protobuf's name
        """The name of a number. Raises ValueError for an unknown one."""
        ...


def body_id(field: str, text: str, others: Faults = NONE) -> UUID:
    """An id in a body or a query. Raises Invalid where it is missing or malformed; an unknown one is found out later.

    `others`: what else is known to be wrong with the request, told along so that every fault is named at once.
    """
    if not text:
        raise Invalid({**others, field: "is required"})
    try:
        return canonical_id(text)
    except ValueError:
        raise Invalid({**others, field: "must be a UUID"}) from None


def enum_name(enum: NamedValues, number: int) -> str:
    """The name of an enum value; "" for unspecified and for numbers that nobody knows, which no rule allows."""
    try:
        return enum.Name(number) if number else ""
    except ValueError:
        return ""


def given(request: Message, fields: Collection[str]) -> dict[str, Any]:
    """The optional fields that a request holds, by name; the others are to stay as they are."""
    return {field: getattr(request, field) for field in fields if request.HasField(field)}


def cleared(changes: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """With None for "" in optional texts: that is how a caller clears one."""
    return {field: None if value == "" and field in fields else value for field, value in changes.items()}


def wanted_page(request: Message, size: int | None = None) -> PageRequest:
    """Which page a list request asks for; `size` if it doesn't say. Raises Invalid naming each wrong parameter."""
    sent = given(request, ("page", "page_size"))
    return page_request(sent.get("page"), sent.get("page_size", size))


def page_numbers(found: Page[Any]) -> dict[str, int]:
    """What every page tells beside its items."""
    request = found.request
    return {"total": found.total, "page": request.page, "page_size": request.size, "total_pages": found.total_pages}


def timestamp(moment: datetime) -> Timestamp:
    """A time with a zone."""
    made = Timestamp()
    made.FromDatetime(moment)
    return made
