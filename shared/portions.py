"""Much, a bounded part at a time."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def portions(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Consecutive items of at most this size together, unless one alone is larger; none is empty."""
    portion: list[T] = []
    held = 0
    for item in items:
        room = size(item)
        if portion and held + room > most:
            yield portion
            portion, held = [], 0
        portion.append(item)
        held += room
    if portion:
        yield portion
