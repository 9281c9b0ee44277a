"""Tries of events that came again: what brings the process down, or can't be written, must not do so for ever.

A try is counted before work begins and uncounted when it ends by an outage, so that what stays counted is the event's own doing.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

import asyncpg
import grpc

from services.scoring import store
from shared.errors import Unavailable
from shared.postgres import OUTAGES, Database

MAX_TRIES = 5
# What Postgres, or asyncpg on the way to it, can't take of an event's scores.
UNWRITABLE = (ValueError, asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
NOT_ITS_DOING = (asyncio.CancelledError, grpc.RpcError, Unavailable, asyncpg.PostgresError, *OUTAGES)

log = logging.getLogger(__name__)


class Tries:
    """Counts tries; `alone` is held while a suspected event is worked on, lest two are blamed for what one did."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owed: set[int] = set()
        self.alone = asyncio.Lock()

    async def suspected(self, seqs: Sequence[int]) -> set[int]:
        """Which of these were begun before and never came back."""
        if not seqs:
            return set()
        async with self._database.connection() as connection:
            known = await store.tries(connection, seqs)
        return {seq for seq, tries in known.items() if tries > (seq in self._owed)}

    @contextlib.asynccontextmanager
    async def counted(self, seqs: Sequence[int]) -> AsyncIterator[set[int]]:
        """Counts a try of each while the body lasts; gives those that had too many. Success is for the body to write."""
        worn = await self._begin(seqs) if seqs else set()
        try:
            yield worn
        except NOT_ITS_DOING as fault:
            if seqs and not isinstance(fault, UNWRITABLE):
                await self._take_back(seqs)
            raise

    async def _begin(self, seqs: Sequence[int]) -> set[int]:
        owed = self._owed.intersection(seqs)
        async with self._database.transaction() as connection:
            await store.take_back_tries(connection, sorted(owed))
            begun = await store.begin_tries(connection, seqs)
        self._owed -= owed
        return {seq for seq, tries in begun.items() if tries > MAX_TRIES}

    async def _take_back(self, seqs: Sequence[int]) -> None:
        try:
            async with self._database.transaction() as connection:
                await store.take_back_tries(connection, seqs)
        except (Unavailable, asyncpg.PostgresError, *OUTAGES) as outage:
            # Postgres itself may be the outage: taken back before the next try.
            log.warning("tries are taken back later", extra={"events": len(seqs), "fault": repr(outage)[:300]})
            self._owed |= set(seqs)
