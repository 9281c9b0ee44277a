"""What was asked of another service, remembered briefly: keys are among it, which must not stay in memory for ever."""

import time
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Values for so many seconds after they were put; of more than `most`, the oldest go."""

    def __init__(self, seconds: float, most: int = 1_000) -> None:
        self._seconds, self._most = seconds, most
        # In the order in which they were put, and so in that in which they expire.
        self._kept: dict[Key, tuple[Value, float]] = {}

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """The value, unless it expired or had to go."""
        self._evict()
        return self._kept[key][0] if key in self._kept else None

    def put(self, key: Key, value: Value) -> None:
        """Keeps the value in place of an earlier one."""
        self._kept.pop(key, None)
        self._kept[key] = (value, time.monotonic() + self._seconds)
        self._evict()

    def _evict(self) -> None:
        now = time.monotonic()
        while self._kept:
            oldest = next(iter(self._kept))
            if len(self._kept) <= self._most and self._kept[oldest][1] > now:
                return
            del self._kept[oldest]
