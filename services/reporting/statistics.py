"""What can be said about pass rates: their interval, and whether one run does better than another on the same cases."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["improved", "regressed", "undecided"]
Interval = tuple[float, float]
Floats = NDArray[np.float64]

# Two-sided 95 %.
SIGNIFICANCE = 0.05
Z = 1.959963984540054
# The same pairs must always give the same answer.
SEED = 20_240_117
RESAMPLES = 9_999
# With more distinct differences than this there are so many pairs that the normal approximation is as good, and far quicker.
MOST_DISTINCT = 512
# Resampling draws one number per resample and distinct difference; this bounds the draws.
MOST_DRAWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Pair:
    """A case in two runs: its pass rate over the repeats in each, 0-1."""

    a: float
    b: float


@dataclass(frozen=True, slots=True)
class Paired:
    """How run b differs from run a over the cases they share.

    difference is the mean of b - a; p_value tells how likely so large a difference is by chance alone; interval holds
    the true difference with 95 % confidence. All are None without pairs. The verdict needs both: p_value under 0.05
    and an interval that does not reach 0.
    """

    difference: float | None
    p_value: float | None
    interval: Interval | None
    verdict: Verdict


def wilson(passed: int, total: int) -> Interval | None:
    """The 95 % interval of a pass rate (Wilson 1927); None of no cases."""
    if total == 0:
        return None
    rate = passed / total
    centre = rate + Z * Z / (2 * total)
    margin = Z * math.sqrt(rate * (1 - rate) / total + Z * Z / (4 * total * total))
    scale = 1 + Z * Z / total
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def compare(pairs: Sequence[Pair]) -> Paired:
    """Run b against run a, case by case: exact McNemar for single verdicts, resampling where repeats made fractions."""
    if not pairs:
        return Paired(None, None, None, "undecided")
    rates = np.array([(pair.a, pair.b) for pair in pairs], dtype=np.float64)
    differences = rates[:, 1] - rates[:, 0]
    if np.isin(rates, (0.0, 1.0)).all():
        p_value, interval = _mcnemar(differences), _adjusted_interval(differences)
    else:
        p_value, interval = _resampled(differences)
    if p_value >= SIGNIFICANCE:
        # The exact test is the stricter one: an interval that left 0 out would contradict it. Widening costs no coverage.
        interval = min(interval[0], 0.0), max(interval[1], 0.0)
    difference = float(differences.mean())
    return Paired(difference, p_value, interval, _verdict(difference, p_value, interval))


def _verdict(difference: float, p_value: float, interval: Interval) -> Verdict:
    low, high = interval
    if p_value >= SIGNIFICANCE or low <= 0 <= high:
        return "undecided"
    return "improved" if difference > 0 else "regressed"


def _mcnemar(differences: Floats) -> float:
    """The exact two-sided p-value: changes for the better and for the worse, were they equally likely (McNemar 1947)."""
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    changed, fewer = better + worse, min(better, worse)
    if better == worse:
        return 1.0
    steps = np.arange(1, fewer + 1)
    # log C(changed, k), k = 0 ... fewer: in logarithms, because 2^changed leaves the range of floats.
    logs = np.concatenate(([0.0], np.cumsum(np.log((changed - steps + 1) / steps)))) - changed * math.log(2)
    tail = float(np.exp(logs - logs.max()).sum()) * math.exp(float(logs.max()))
    return min(1.0, 2 * tail)


def _adjusted_interval(differences: Floats) -> Interval:
    """The interval of Bonett and Price (2012): one pair more for the better, and one for the worse.

    Unlike Wald's it does not shrink to nothing when no pair differs.
    """
    count = len(differences) + 2
    mean = float(differences.sum()) / count
    variance = (float((differences**2).sum()) + 2) / count - mean * mean
    margin = Z * math.sqrt(variance / count)
    return max(-1.0, mean - margin), min(1.0, mean + margin)


def _resampled(differences: Floats) -> tuple[float, Interval]:
    """Sign-flip permutation p-value and percentile bootstrap interval of the mean difference.

    Pass rates over repeats take few values, so whole groups of equal differences are drawn at once.
    """
    # Rounded: 0.3 - 0.1 and 0.2 - 0.0 are the same difference.
    values, counts = np.unique(differences.round(12), return_counts=True)
    if len(values) == 1:
        return _flipped(values, counts), _adjusted_interval(differences)
    if len(values) > MOST_DISTINCT:
        return _normal(differences)
    return _flipped(values, counts), _bootstrapped(values, counts)


def _flipped(values: Floats, counts: NDArray[np.int64]) -> float:
    """How often differences of random sign add up to as much as the real ones."""
    random = np.random.default_rng(SEED)
    heads = random.binomial(counts, 0.5, size=(_resamples(values), len(values)))
    sums = np.abs((2 * heads - counts) @ values)
    real = abs(float(values @ counts))
    # The real one counts as one of them, so that no p-value is 0.
    return (1 + int((sums >= real - 1e-9).sum())) / (len(sums) + 1)


def _bootstrapped(values: Floats, counts: NDArray[np.int64]) -> Interval:
    random = np.random.default_rng(SEED)
    total = int(counts.sum())
    means = random.multinomial(total, counts / total, size=_resamples(values)) @ values / total
    low, high = np.quantile(means, (SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2))
    return float(low), float(high)


def _resamples(values: Floats) -> int:
    return min(RESAMPLES, MOST_DRAWS // len(values))


def _normal(differences: Floats) -> tuple[float, Interval]:
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return math.erfc(abs(mean) / error / math.sqrt(2)), (mean - Z * error, mean + Z * error)
