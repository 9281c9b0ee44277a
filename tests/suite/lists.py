"""What every list keeps to: paging and sorting, checked the same way everywhere."""

from collections.abc import Sequence
from typing import Any

from tests.suite.builders import Json, made
from tests.suite.client import Client
from tests.suite.contract import Check, page, refused

BAD_PAGES: Sequence[tuple[str, object]] = (
    ("page", 0),
    ("page", -1),
    ("page", "one"),
    ("page", 1.5),
    ("page", 10**12),
    ("page_size", 0),
    ("page_size", 101),
    ("page_size", -5),
    ("page_size", "many"),
)


def sorted_as_the_contract_says(items: Sequence[Json], by: str, order: str) -> list[Json]:
    """Items, given in order of creation: any case, no value last, ties in order of creation."""

    def key(item: Json) -> Any:
        return item[by].lower() if isinstance(item[by], str) else item[by]

    valued = [item for item in items if by in item]
    return sorted(valued, key=key, reverse=order == "desc") + [item for item in items if by not in item]


def pages_add_up(client: Client, path: str, check: Check, parameters: Json) -> list[Json]:
    """All items; asserts that small pages hold the same ones, each once, in the same order."""
    whole: list[Json] = page(client.get(path, {**parameters, "page_size": 100}), check)
    size = max(1, (len(whole) + 2) // 3)
    last = -(-len(whole) // size)
    small = [
        item for number in range(1, last + 1) for item in page(client.get(path, {**parameters, "page": number, "page_size": size}), check)
    ]
    assert small == whole
    beyond = client.get(path, {**parameters, "page": last + 1, "page_size": size})
    assert page(beyond, check) == []
    assert made(beyond, 200)["total"] == len(whole)
    return whole


def pages_are_bounded(client: Client, path: str, parameters: Json) -> None:
    """Asserts the defaults, and that wrong numbers are refused by name."""
    body = made(client.get(path, parameters), 200)
    assert (body["page"], body["page_size"]) == (1, 20)
    for name, value in BAD_PAGES:
        refused(client.get(path, {**parameters, name: value}), 400, name)
