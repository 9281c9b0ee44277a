"""Limits per credential: so many requests a second, with as many saved up. Off unless configured.

In the services rather than in the gateway, whose own filter runs before anybody was authenticated. Each process counts for
itself, so a service with n replicas lets n times as many through.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from shared.errors import RateLimited

REMEMBERED = 10_000


class RateLimit:
    """A token bucket per credential; `per_second` 0 limits nobody."""

    def __init__(self, per_second: float = 0.0, now: Callable[[], float] = monotonic) -> None:
        self._per_second, self._now = per_second, now
        self._most = max(1.0, per_second)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, credential_id: str) -> None:
        """Takes one request off a credential's bucket. Raises RateLimited with the seconds until there is one again."""
        if not self._per_second:
            return
        now = self._now()
        left, since = self._buckets.get(credential_id, (self._most, now))
        left = min(self._most, left + (now - since) * self._per_second)
        if left < 1.0:
            raise RateLimited(math.ceil((1.0 - left) / self._per_second))
        self._buckets[credential_id] = (left - 1.0, now)
        self._buckets.move_to_end(credential_id)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
