"""What is remembered is forgotten in time, and never grows without end."""

import time

from shared.remembered import Remembered


def test_the_newest_value_is_remembered() -> None:
    remembered = Remembered[str, int](60)
    remembered.put("a", 1)
    remembered.put("a", 2)
    assert (remembered.get("a"), remembered.get("b"), len(remembered)) == (2, None, 1)


def test_what_expired_is_gone_whoever_asks_for_what() -> None:
    remembered = Remembered[str, int](0.05)
    remembered.put("a", 1)
    time.sleep(0.06)
    assert remembered.get("b") is None
    assert len(remembered) == 0


def test_of_too_many_the_oldest_go() -> None:
    remembered = Remembered[int, int](60, most=3)
    for n in (1, 2, 3, 1, 4):
        remembered.put(n, n)
    assert [n for n in range(6) if remembered.get(n)] == [1, 3, 4]
