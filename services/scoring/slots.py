"""The limits of a judge's connection over all scoring processes: every call in flight is a row, taken before and removed after it.

Each process takes its share of the slots at most, so that none waits for another that is faster. What a dead one held is free
once its lease has run out. What a process holds by its row only, since a statement was cut short, it frees itself.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from weakref import WeakValueDictionary

import asyncpg

from services.scoring import store
from services.scoring.entities import Endpoint, Slot
from shared.errors import Unavailable
from shared.ids import new_id
from shared.postgres import OUTAGES, Connection, Database

LOOK_SECONDS = 0.05
AWAY_SECONDS = 0.3
LONGEST_BEAT_SECONDS = 2.0
FAULTS = (Unavailable, asyncpg.PostgresError, *OUTAGES)

log = logging.getLogger(__name__)


class _Door:
    """The way to one endpoint: one at a time looks for a slot, and `held` are this process's own, until their rows are gone."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.held: set[int] = set()


class Slots:
    """Hands out slots; one per process."""

    def __init__(self, database: Database, lease: timedelta) -> None:
        self.id = new_id()
        self._database, self._lease = database, lease
        # A door is kept for as long as somebody uses it.
        self._doors: WeakValueDictionary[str, _Door] = WeakValueDictionary()
        self._untidy: set[str] = set()

    @contextlib.asynccontextmanager
    async def slot(self, endpoint: Endpoint) -> AsyncIterator[None]:
        """Waits until a call may begin, and holds its slot. While Postgres is away none begins."""
        key = _key(endpoint)
        door = self._doors.setdefault(key, _Door())
        async with door.turn:
            slot = await self._taken(key, endpoint.max_concurrency, door)
        try:
            await asyncio.sleep(await self._pause(key, endpoint.requests_per_minute))
            yield
        finally:
            await self._give_back(key, slot, door)

    async def run(self) -> None:
        """Keeps the lease until cancelled, then leaves."""
        try:
            while True:
                with contextlib.suppress(*FAULTS):  # tried again; without the lease no call begins
                    await self.beat()
                    await self.tidy()
                await asyncio.sleep(min(LONGEST_BEAT_SECONDS, self._lease.total_seconds() / 6))
        finally:
            with contextlib.suppress(*FAULTS):  # the lease ends by itself
                async with self._database.connection() as connection:
                    await store.leave(connection, self.id)

    async def beat(self) -> None:
        """Joins, or renews the lease."""
        async with self._database.connection() as connection:
            await store.beat(connection, self.id, self._lease)

    async def tidy(self) -> None:
        """Frees what this process holds by its row only."""
        for key in list(self._untidy):
            door = self._doors.setdefault(key, _Door())
            # Whoever has the turn tidies up before it looks; waiting for it would let the lease run out.
            if not door.turn.locked():
                async with door.turn, self._database.connection() as connection:
                    await self._tidied(connection, key, door)

    async def _tidied(self, connection: Connection, key: str, door: _Door) -> None:
        """The caller has the door's turn: no slot is being taken."""
        if key not in self._untidy:
            return
        self._untidy.discard(key)  # first, since another statement may be cut short meanwhile
        with self._marked(key):
            for slot in await store.slots_of(connection, key, self.id):
                if slot.number not in door.held:
                    await store.free_slot(connection, key, slot, self.id)

    @contextlib.contextmanager
    def _marked(self, key: str) -> Iterator[None]:
        """A statement that fails or is cancelled may have taken effect all the same: what it left is looked for later."""
        try:
            yield
        except BaseException:
            self._untidy.add(key)
            raise

    async def _taken(self, key: str, limit: int, door: _Door) -> Slot:
        while True:
            try:
                with self._marked(key):
                    async with self._database.connection() as connection:
                        await self._tidied(connection, key, door)
                        slot = await store.take_slot(connection, (key, limit), self.id, door.held)
            except FAULTS as fault:
                log.warning("a judge's slot can't be taken", extra={"fault": repr(fault)[:300]})
                await asyncio.sleep(AWAY_SECONDS)
                continue
            if slot is not None:
                door.held.add(slot.number)
                return slot
            await asyncio.sleep(LOOK_SECONDS)

    async def _pause(self, key: str, per_minute: int) -> float:
        """Seconds until the call may begin."""
        while per_minute:
            try:
                async with self._database.connection() as connection:
                    return await store.pace(connection, key, timedelta(minutes=1) / per_minute)
            except FAULTS as fault:
                log.warning("a judge's pace can't be read", extra={"fault": repr(fault)[:300]})
                await asyncio.sleep(AWAY_SECONDS)
        return 0.0

    async def _give_back(self, key: str, slot: Slot, door: _Door) -> None:
        try:
            with self._marked(key):
                async with self._database.connection() as connection:
                    await store.free_slot(connection, key, slot, self.id)
        except FAULTS as fault:
            log.warning("a judge's slot can't be freed", extra={"fault": repr(fault)[:300]})
        finally:
            door.held.discard(slot.number)


def _key(endpoint: Endpoint) -> str:
    """Shared by the workspaces that use the endpoint with the same key: its limits are the endpoint's, not theirs."""
    return hashlib.sha256(f"{endpoint.base_url}\n{endpoint.api_key}".encode()).hexdigest()
