"""Portions of a bounded size."""

from collections.abc import Sequence

import pytest

from shared.portions import portions


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([4, 6], [[4, 6]]),
        ([4, 6, 1], [[4, 6], [1]]),
        ([11], [[11]]),
        ([1, 30, 1, 2], [[1], [30], [1, 2]]),
        ([0, 0, 10, 0, 1], [[0, 0, 10, 0], [1]]),
    ],
    ids=str,
)
def test_a_portion_is_at_most_so_large_unless_one_alone_is_larger(sizes: Sequence[int], expected: Sequence[Sequence[int]]) -> None:
    assert list(portions(sizes, lambda size: size, 10)) == expected


def test_no_more_is_taken_than_the_next_portion_needs() -> None:
    items = iter(range(5, 100))
    next(portions(items, lambda size: size, 11))
    assert next(items) == 8
