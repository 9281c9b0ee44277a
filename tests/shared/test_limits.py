"""Requests a second, per credential."""

import pytest

from shared.errors import RateLimited
from shared.limits import REMEMBERED, RateLimit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def spent(limit: RateLimit, credential: str) -> int:
    """How many requests get through at once."""
    for number in range(1_000):
        try:
            limit.spend(credential)
        except RateLimited:
            return number
    return 1_000


def test_without_a_limit_nobody_is_refused() -> None:
    assert spent(RateLimit(), "a") == 1_000


def test_a_second_s_worth_gets_through_at_once_and_then_no_more() -> None:
    assert spent(RateLimit(5, Clock()), "a") == 5


def test_one_credential_s_haste_is_not_another_s() -> None:
    limit = RateLimit(5, Clock())
    spent(limit, "a")
    assert spent(limit, "b") == 5


def test_what_was_spent_comes_back_with_time_and_never_more_than_a_second_s_worth() -> None:
    clock = Clock()
    limit = RateLimit(5, clock)
    spent(limit, "a")
    clock.now += 0.4
    assert spent(limit, "a") == 2
    clock.now += 60
    assert spent(limit, "a") == 5


def test_the_refusal_says_how_long_to_wait() -> None:
    limit = RateLimit(0.1, Clock())
    limit.spend("a")
    with pytest.raises(RateLimited) as refusal:
        limit.spend("a")
    assert refusal.value.retry_after == 10


def test_credentials_are_forgotten_the_oldest_first() -> None:
    limit = RateLimit(1, Clock())
    for number in range(REMEMBERED + 10):
        limit.spend(str(number))
    assert len(limit._buckets) == REMEMBERED
