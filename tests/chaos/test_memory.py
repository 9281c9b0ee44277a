"""The slope of memory, on lives that were made up."""

import pytest

from tests.chaos.memory import Lives


def lived(lives: Lives, pid: int, *, since: float, level: float, slope: float, hours: float) -> None:
    """A process that has `level` MB when it is born and grows by `slope` MB/h."""
    for minute in range(int(hours * 60) + 1):
        lives.see(pid, since + minute * 60, level + slope * minute / 60)


def test_a_life_that_grows_has_its_slope() -> None:
    lives = Lives(warm_up=0)
    lived(lives, 1, since=100, level=50, slope=2.5, hours=1)
    assert lives.slope == pytest.approx(2.5)
    assert lives.hours == pytest.approx(1)


def test_a_new_life_at_another_level_is_no_growth() -> None:
    lives = Lives(warm_up=0)
    lived(lives, 1, since=0, level=50, slope=0, hours=1)
    lived(lives, 2, since=3600, level=90, slope=0, hours=1)
    assert lives.slope == pytest.approx(0)


def test_many_short_lives_show_the_slope_that_they_share() -> None:
    lives = Lives(warm_up=0)
    for pid in range(10):
        lived(lives, pid, since=pid * 900, level=50 + 7 * (pid % 3), slope=4, hours=0.2)
    assert lives.slope == pytest.approx(4)


def test_the_warm_up_of_every_life_is_left_out() -> None:
    lives = Lives(warm_up=600)
    for pid in (1, 2):
        lived(lives, pid, since=pid * 7200, level=0, slope=600, hours=0.16)
        lived(lives, pid, since=pid * 7200 + 600, level=100, slope=1, hours=1)
    assert lives.slope == pytest.approx(1)


def test_short_lives_can_be_left_out() -> None:
    lives = Lives(warm_up=0)
    lived(lives, 1, since=0, level=50, slope=60, hours=0.2)
    lived(lives, 2, since=3600, level=50, slope=1, hours=1)
    assert lives.at_least(1800).slope == pytest.approx(1)
    assert not lives.at_least(7200).lives


def test_no_samples_have_no_slope() -> None:
    assert (Lives(warm_up=60).slope, Lives(warm_up=60).hours) == (0, 0)
