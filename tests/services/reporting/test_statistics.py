"""Intervals and verdicts against published and exact figures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from services.reporting.statistics import Pair, compare, wilson


def pairs(better: int = 0, worse: int = 0, same: int = 0) -> list[Pair]:
    return [Pair(0, 1)] * better + [Pair(1, 0)] * worse + [Pair(1, 1)] * same


def exact_mcnemar(better: int, worse: int) -> float:
    changed = better + worse
    tail = sum(math.comb(changed, k) for k in range(min(better, worse) + 1))
    return min(1.0, 2 * tail / float(2**changed))


@pytest.mark.parametrize(
    ("passed", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_gives_the_published_intervals(passed: int, total: int, low: float, high: float) -> None:
    assert wilson(passed, total) == pytest.approx((low, high), abs=5e-5)


def test_no_cases_have_no_interval() -> None:
    assert wilson(0, 0) is None


@given(st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_a_wilson_interval_holds_the_rate_and_stays_a_rate(counts: tuple[int, int]) -> None:
    passed, total = counts
    interval = wilson(passed, total)
    assert interval is not None
    assert 0 <= interval[0] <= passed / total + 1e-12
    assert passed / total - 1e-12 <= interval[1] <= 1


def test_without_pairs_nothing_can_be_said() -> None:
    paired = compare([])
    assert (paired.difference, paired.p_value, paired.interval, paired.verdict) == (None, None, None, "undecided")


@pytest.mark.parametrize(
    ("better", "worse", "same", "verdict"),
    [
        (6, 0, 94, "improved"),
        (5, 0, 95, "undecided"),
        (0, 6, 94, "regressed"),
        (20, 9, 71, "undecided"),
        (21, 8, 71, "improved"),
        (0, 0, 100, "undecided"),
        (1, 0, 0, "undecided"),
        (40, 40, 20, "undecided"),
    ],
)
def test_single_verdicts_are_decided_by_the_pairs_that_changed(better: int, worse: int, same: int, verdict: str) -> None:
    paired = compare(pairs(better, worse, same))
    assert paired.verdict == verdict
    assert paired.p_value == pytest.approx(exact_mcnemar(better, worse))
    assert paired.difference == pytest.approx((better - worse) / (better + worse + same))


@given(better=st.integers(0, 60), worse=st.integers(0, 60), same=st.integers(1, 60))
def test_swapping_the_runs_mirrors_the_comparison(better: int, worse: int, same: int) -> None:
    there, back = compare(pairs(better, worse, same)), compare(pairs(worse, better, same))
    assert there.interval is not None
    assert back.interval is not None
    assert there.p_value == back.p_value
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))
    assert (there.verdict, back.verdict) in {("improved", "regressed"), ("regressed", "improved"), ("undecided", "undecided")}


@given(st.lists(st.builds(Pair, st.sampled_from([0, 1 / 3, 2 / 3, 1]), st.sampled_from([0, 1 / 3, 2 / 3, 1])), min_size=1, max_size=30))
@settings(max_examples=50)
def test_verdict_p_value_and_interval_never_contradict_each_other(given_pairs: list[Pair]) -> None:
    paired = compare(given_pairs)
    assert paired.p_value is not None
    assert paired.interval is not None
    assert paired.difference is not None
    low, high = paired.interval
    assert 0 < paired.p_value <= 1
    assert -1 <= low <= paired.difference + 1e-9
    assert paired.difference - 1e-9 <= high <= 1
    if paired.verdict != "undecided":
        assert paired.p_value < 0.05
        assert low > 0 or high < 0


def test_fractional_pass_rates_are_compared_by_their_size() -> None:
    steady = compare([Pair(0.25, 0.5), Pair(0.5, 0.75), Pair(0.0, 0.5), Pair(0.25, 0.75)] * 3)
    assert steady.verdict == "improved"
    assert steady.interval is not None
    assert 0.25 <= steady.interval[0] <= 0.375 <= steady.interval[1] <= 0.5


def test_a_few_equal_fractions_prove_nothing() -> None:
    paired = compare([Pair(0.4, 0.5)] * 3)
    assert paired.verdict == "undecided"
    assert paired.p_value == pytest.approx(0.25, abs=0.02)


def test_the_same_pairs_give_the_same_answer() -> None:
    some = [Pair(i % 4 / 4, i % 3 / 3) for i in range(50)]
    assert compare(some) == compare(some)


def test_the_interval_holds_the_true_difference_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(1)
    held = 0
    for better, worse, same in random.multinomial(60, [0.2, 0.08, 0.72], size=400):
        interval = compare(pairs(better, worse, same)).interval
        assert interval is not None
        held += interval[0] <= 0.12 <= interval[1]
    assert held / 400 > 0.92


@pytest.mark.parametrize("repeats", [1, 3, 100, 10_007])
def test_a_hundred_thousand_pairs_are_compared(repeats: int) -> None:
    random = np.random.default_rng(2)
    many = [Pair(a / repeats, b / repeats) for a, b in random.integers(0, repeats + 1, size=(100_000, 2)).tolist()]
    assert compare(many).p_value is not None


def test_a_very_long_run_of_changes_keeps_its_p_value() -> None:
    assert compare(pairs(better=30_000, worse=29_000)).p_value == pytest.approx(3.9e-5, rel=0.05)
    assert compare(pairs(better=60_000, worse=10)).p_value == 0.0
