"""How fast memory grows, seen over the lives of processes that are killed now and then."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Sample = tuple[float, float]
"""(seconds, MB)."""


@dataclass
class Lives:
    """Samples of one process name; a new pid begins a new life."""

    warm_up: float
    """Seconds of a life that don't count: caches and pools fill, and that is no leak."""
    lives: dict[int, list[Sample]] = field(default_factory=dict)
    _born: dict[int, float] = field(default_factory=dict)

    def see(self, pid: int, now: float, megabytes: float) -> None:
        """Keeps a sample."""
        if now >= self._born.setdefault(pid, now) + self.warm_up:
            self.lives.setdefault(pid, []).append((now, megabytes))

    def at_least(self, seconds: float) -> "Lives":
        """Those that were looked at for so long."""
        return Lives(self.warm_up, {pid: life for pid, life in self.lives.items() if life[-1][0] - life[0][0] >= seconds})

    @property
    def hours(self) -> float:
        """For how long it was looked at in all, warm-ups aside."""
        return sum(life[-1][0] - life[0][0] for life in self.lives.values()) / 3600

    @property
    def slope(self) -> float:
        """MB/h: one slope for all lives, each at its own level (least squares); 0 of too few samples."""
        parts = [_deviations(life) for life in self.lives.values()]
        spread = sum(t * t for part in parts for t, _ in part)
        return sum(t * y for part in parts for t, y in part) / spread * 3600 if spread else 0.0


def _deviations(life: Sequence[Sample]) -> list[Sample]:
    """What each sample is away from the means of its life."""
    mean_t, mean_y = _mean(t for t, _ in life), _mean(y for _, y in life)
    return [(t - mean_t, y - mean_y) for t, y in life]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
