"""Tickets that there is no room for."""

import pytest

from services.runner.orders import APART_SECONDS, MOST_CONNECTIONS, SOON_SECONDS, Returns


def test_tickets_of_one_connection_come_again_one_after_the_other() -> None:
    returns = Returns()
    assert [returns.seconds("a", 100.0) for _ in range(3)] == pytest.approx([SOON_SECONDS + APART_SECONDS * n for n in range(3)])
    assert returns.seconds("b", 100.0) == pytest.approx(SOON_SECONDS)  # nothing to do with them
    assert returns.seconds("a", 200.0) == pytest.approx(SOON_SECONDS)  # all have come


def test_connections_that_nobody_waits_for_are_forgotten_first() -> None:
    returns = Returns()
    returns.seconds("old", 100.0)
    for number in range(MOST_CONNECTIONS - 1):
        returns.seconds("busy", 100.0)
        returns.seconds(str(number), 100.0)
    assert returns.seconds("old", 100.0) == pytest.approx(SOON_SECONDS)
    assert returns.seconds("busy", 100.0) > SOON_SECONDS + APART_SECONDS
