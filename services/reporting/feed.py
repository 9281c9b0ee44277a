"""The live feed: what wakes the streams of runs, on every replica, without any of them polling.

Whoever commits a change tells it in a NATS core message. These may be lost, so one poll per process and second, for all
streams together, is the net.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterator
from uuid import UUID

from services.reporting.store import runs
from shared.errors import Unavailable
from shared.jetstream import OUTAGES as NATS_OUTAGES, Broker
from shared.postgres import OUTAGES, Database

SUBJECT = "assay.reporting.projected"
POLL_SECONDS = 1.0
ID_BYTES = 16

log = logging.getLogger(__name__)


class Follower:
    """One stream's ear: `changed` is set whenever its run may have news."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    async def has_news(self, within: float) -> bool:
        """Whether there may be news: True as soon as there is, False after so many seconds."""
        # Not wait_for, which swallows a cancel that comes together with the news.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.changed.wait()
        news = self.changed.is_set()
        self.changed.clear()
        return news


class Feed:
    """Wakes the followers of runs."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database, self._broker = database, broker
        self._followers: dict[UUID, set[Follower]] = {}
        self._positions: dict[UUID, tuple[int, str]] = {}
        self.stopping = False

    @contextlib.contextmanager
    def follow(self, run_id: UUID) -> Iterator[Follower]:
        """A follower for as long as the block lasts."""
        follower = Follower()
        followers = self._followers.setdefault(run_id, set())
        followers.add(follower)
        try:
            yield follower
        finally:
            followers.discard(follower)
            if not followers and self._followers.get(run_id) is followers:
                del self._followers[run_id]

    async def tell(self, run_ids: Collection[UUID]) -> None:
        """Says, everywhere, that these runs changed."""
        self._wake(run_ids)
        if self._broker.connected:
            with contextlib.suppress(*NATS_OUTAGES):
                await self._broker.client.publish(SUBJECT, b"".join(run_id.bytes for run_id in run_ids))

    async def listen(self) -> None:
        """Hears what other processes tell, until cancelled."""
        await self._broker.ready()

        async def heard(message: object) -> None:
            data: bytes = getattr(message, "data", b"")
            self._wake([UUID(bytes=data[at : at + ID_BYTES]) for at in range(0, len(data), ID_BYTES)])

        subscription = await self._broker.client.subscribe(SUBJECT, cb=heard)
        try:
            await asyncio.Event().wait()
        finally:
            with contextlib.suppress(*NATS_OUTAGES):
                await subscription.unsubscribe()

    async def poll(self) -> None:
        """Looks every second for changes that were not heard of, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._look()
            except (Unavailable, *OUTAGES) as outage:
                log.warning("the feed is waiting", extra={"fault": repr(outage)})

    def stop(self) -> None:
        """Lets every stream end: its client comes again, to a process that stays."""
        self.stopping = True
        self._wake(list(self._followers))

    async def _look(self) -> None:
        followed = list(self._followers)
        if not followed:
            return
        async with self._database.connection() as connection:
            found = await runs.positions(connection, followed)
        # A run that is gone has no position: that is a change too.
        self._wake([run_id for run_id in followed if run_id not in found or found[run_id] != self._positions.get(run_id)])
        self._positions = found

    def _wake(self, run_ids: Collection[UUID]) -> None:
        for run_id in run_ids:
            for follower in self._followers.get(run_id, ()):
                follower.changed.set()
