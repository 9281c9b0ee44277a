"""Looks what is due, twice a second in every process; the rows decide which of them fires it."""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import datetime

import grpc

from services.runner.clients import Catalog
from services.runner.operations import schedules as operations
from services.runner.schedules import Schedule
from shared.errors import Unavailable
from shared.postgres import OUTAGES, Database

EVERY_SECONDS = 0.5
LOOKED_AT = 100
AT_ONCE = 8

log = logging.getLogger(__name__)


class Clock:
    """Fires schedules at their times."""

    def __init__(self, database: Database, catalog: Catalog, now: Callable[[], datetime]) -> None:
        self._database, self._catalog, self._now = database, catalog, now
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.look()
            except (Unavailable, *OUTAGES) as fault:
                log.warning("schedules are waiting", extra={"fault": repr(fault)})

    async def look(self) -> None:
        """Fires all that is due."""
        due = await operations.due(self._database, self._now(), LOOKED_AT)
        # Not all processes begin with the same one: each is opened before it shows who fires it.
        random.shuffle(due)
        await asyncio.gather(*map(self._fire, due))

    async def _fire(self, schedule: Schedule) -> None:
        about = {"family": schedule.family, "subject_id": schedule.subject_id}
        async with self._slots:
            try:
                started = await operations.fire(self._database, self._catalog, schedule, self._now())
            except (Unavailable, grpc.aio.AioRpcError, *OUTAGES) as fault:
                log.warning("a schedule is waiting", extra={**about, "fault": repr(fault)})
            except Exception:
                # Left due, it would fail twice a second for ever.
                log.exception("a schedule can't be fired", extra=about)
                await operations.skip(self._database, schedule, self._now())
            else:
                if started:
                    log.info("a schedule fired", extra={**about, "runs": len(started)})
