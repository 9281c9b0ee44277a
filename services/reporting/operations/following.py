"""Following a run: its whole history from any event on, then what happens, as it happens."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from uuid import UUID

from services.reporting import sse
from services.reporting.entities.runs import Run, Tally
from services.reporting.feed import Feed
from services.reporting.store import events, runs
from shared.postgres import Database

PAGE_EVENTS = 500
COMMENT_SECONDS = 15.0
PROGRESS_SECONDS = 0.5
# Changes that come faster than this are read together.
PAUSE_SECONDS = 0.05
LIFE_SECONDS = 3600.0


@dataclass
class _Pace:
    """When a stream last said what, on the monotonic clock."""

    commented: float
    progressed: float = 0.0
    told: Tally | None = None

    def progress_due(self, run: Run, now: float) -> bool:
        return run.tally != self.told and now - self.progressed >= PROGRESS_SECONDS

    def rest(self, run: Run, now: float) -> float:
        """Seconds until there is something to say even if nothing happens."""
        comment = self.commented + COMMENT_SECONDS - now
        return comment if run.tally == self.told else min(comment, self.progressed + PROGRESS_SECONDS - now)


class Following:
    """Streams of runs."""

    def __init__(self, database: Database, feed: Feed, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._feed, self._clock = database, feed, clock

    async def stream(self, workspace: UUID, run_id: UUID, after: int) -> AsyncGenerator[bytes, None]:
        """Events after number `after`, until the final one, the run's deletion, the process's end, or an hour."""
        yield sse.RETRY
        ends = self._clock() + LIFE_SECONDS
        pace = _Pace(commented=self._clock())
        with self._feed.follow(run_id) as follower:
            run = await self._find(workspace, run_id)
            while run is not None and not self._feed.stopping and self._clock() < ends:
                while after < run.last_seq:
                    data, after = await self._page(run, after)
                    yield data
                if run.closed:
                    return
                for data in self._asides(pace, run):
                    yield data
                await asyncio.sleep(PAUSE_SECONDS)
                # Only then: thousands of idle streams must not ask the database for anything.
                if await follower.has_news(within=max(0.0, pace.rest(run, self._clock()))):
                    run = await self._find(workspace, run_id)

    async def _find(self, workspace: UUID, run_id: UUID) -> Run | None:
        async with self._database.connection() as connection:
            return await runs.find(connection, workspace, run_id)

    async def _page(self, run: Run, after: int) -> tuple[bytes, int]:
        async with self._database.connection() as connection:
            page = await events.page(connection, run, after, PAGE_EVENTS)
        return sse.numbered(page, run), page[-1].seq if page else run.last_seq

    def _asides(self, pace: _Pace, run: Run) -> list[bytes]:
        """What has no number: progress, at most twice a second, and a comment every 15 s."""
        now, asides = self._clock(), []
        if pace.progress_due(run, now):
            pace.progressed, pace.told = now, run.tally
            asides.append(sse.progress(run))
        if now - pace.commented >= COMMENT_SECONDS:
            pace.commented = now
            asides.append(sse.COMMENT)
        return asides
