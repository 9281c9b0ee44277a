"""Limits on calls, for the whole cluster: each live runner has a share of every connection's and every run's slots.

share = limit / live runners, the remainder one by one to the oldest. A runner that joins counts at once, and calls only
after all others have had time to shrink; a dead one's share is given out only after its lease; one that couldn't renew its
lease stops calling before that.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from services.runner.operations import membership
from services.runner.store.instances import Members
from shared import observe
from shared.ids import new_id
from shared.postgres import Database

LOOK_SECONDS = 0.2
MARGIN = 0.8  # of the lease: after this without a renewal no call begins
SECONDS_PER_MINUTE = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """This runner's place among the live ones; count 0 means that it may not call."""

    place: int = 0
    count: int = 0

    def of(self, limit: int) -> int:
        """Slots out of a limit."""
        if not self.count:
            return 0
        return limit // self.count + (1 if self.place < limit % self.count else 0)


def share_of(members: Members, me: UUID) -> Share:
    """The share of one runner; none while another live runner hasn't settled since it joined."""
    mine = next((each for each in members.instances if each.id == me), None)
    if mine is None:
        return Share()
    others = [each for each in members.instances if each.id != me and each.joined_at <= mine.joined_at]
    if any(each.settled_at is None or each.settled_at < mine.joined_at for each in others):
        return Share()
    place = [each.id for each in members.instances].index(me)
    return Share(place, len(members.instances))


class Gate:
    """The slots of one connection or run in this process, first come first served. `allowed` tells how many there are now."""

    def __init__(self, allowed: Callable[[int], int]) -> None:
        self.limit = 0
        self.used = 0
        self.next_call = 0.0
        self._allowed = allowed
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> int:
        """Slots that nobody holds; below 0 when the share shrank."""
        return self._allowed(self.limit) - self.used

    @property
    def idle(self) -> bool:
        """Whether nobody holds or wants a slot."""
        return not self.used and not self._waiting

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Waits for a slot and holds it."""
        if self._waiting or self.free <= 0:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn  # whoever ends it counts the slot as ours
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.used -= 1
                elif turn in self._waiting:  # a slot that came free meanwhile passed it over
                    self._waiting.remove(turn)
                self.admit()
                raise
        else:
            self.used += 1
        try:
            yield
        finally:
            self.used -= 1
            self.admit()

    def admit(self) -> None:
        """Gives free slots to those who wait."""
        while self._waiting and self.free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                self.used += 1
                turn.set_result(None)


class Governor:
    """Hands out slots."""

    def __init__(self, database: Database, name: str, lease: timedelta) -> None:
        self.id = new_id()
        self._database, self._name, self._lease = database, name, lease
        self._share = Share()
        self._good_until = 0.0
        self._gates: dict[Hashable, Gate] = {}
        self._waiting: set[asyncio.Task[Any] | None] = set()

    def share(self, limit: int) -> int:
        """The slots of a limit that fall to this runner: where there are fewer slots than runners, some get none."""
        return self._allowed(limit)

    @asynccontextmanager
    async def slot(
        self, run: tuple[UUID, int], connection: tuple[UUID, int], per_minute: int = 0
    ) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Waits for a slot of the run, then for one of the connection, each given as (id, limit of the cluster); holds both.

        Always in this order, so that no two callers wait for each other. Yields what is to be awaited before each call.
        """
        with ExitStack() as waiting:
            waiting.enter_context(observe.SLOTS_WANTED.track_inprogress())
            self._waiting.add(me := asyncio.current_task())
            waiting.callback(self._waiting.discard, me)
            async with self._gate(run[0], run[1]).slot():
                # Looked up only now: one that stayed idle while we waited was dropped, and others would count on another.
                gate = self._gate(connection[0], connection[1])
                async with gate.slot():
                    waiting.close()
                    with observe.SLOTS_USED.track_inprogress():
                        yield partial(self._begin, gate, per_minute)

    def turn_away(self, calls: Iterable[asyncio.Task[Any]]) -> None:
        """Cancels those of these calls that wait for a slot."""
        for call in self._waiting.intersection(calls):
            if call is not None:
                call.cancel()

    async def _begin(self, gate: Gate, per_minute: int) -> None:
        """Spaces calls evenly, so that a limit per minute holds in every minute; none begins without a live lease."""
        if per_minute:
            now = asyncio.get_running_loop().time()
            begins = max(now, gate.next_call)
            gate.next_call = begins + SECONDS_PER_MINUTE * max(1, self._share.count) / per_minute
            await asyncio.sleep(begins - now)
        while not self._live:  # noqa: ASYNC110 the next renewal ends it
            await asyncio.sleep(LOOK_SECONDS)

    def _gate(self, key: Hashable, limit: int) -> Gate:
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(self._allowed)
        gate.limit = limit
        return gate

    @property
    def _live(self) -> bool:
        return self._share.count > 0 and asyncio.get_running_loop().time() <= self._good_until

    def _allowed(self, limit: int) -> int:
        return self._share.of(limit) if self._live else 0

    async def run(self) -> None:
        """Keeps the lease until cancelled, then leaves."""
        try:
            while True:
                await self.beat()
                await asyncio.sleep(min(2.0, self._lease.total_seconds() / 6))
        finally:
            try:
                await membership.leave(self._database, self.id)
            except Exception as fault:  # noqa: BLE001 the lease ends by itself
                log.warning("could not leave", extra={"fault": repr(fault)})

    def _fits(self, members: Members) -> bool:
        """Takes the share that follows from who lives; whether what is in flight fits it, so that a newcomer may begin."""
        # Before the commit: no call may be let in by the larger share that others no longer count on.
        self._share = share_of(members, self.id)
        counted = Share(self._share.place, len(members.instances))
        return all(gate.used <= counted.of(gate.limit) for gate in self._gates.values())

    async def beat(self) -> None:
        """Renews the lease."""
        began = asyncio.get_running_loop().time()
        try:
            await membership.beat(self._database, (self.id, self._name), self._lease, self._fits)
        except Exception as fault:  # noqa: BLE001 tried again; calls stop when the lease nears its end
            log.warning("could not renew the lease", extra={"fault": repr(fault)})
            return
        self._good_until = began + self._lease.total_seconds() * MARGIN
        for key, gate in list(self._gates.items()):
            gate.admit()
            if gate.idle and gate.next_call < began:
                del self._gates[key]
