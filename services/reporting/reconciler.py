"""What was forgotten: runs that ended and could have closed, rows of what was deleted."""

import asyncio
import logging

from services.reporting.operations.closing import close_waiting
from services.reporting.operations.forgetting import Forgetting
from services.reporting.operations.projection import Tell
from shared.errors import Unavailable
from shared.postgres import OUTAGES, Database

EVERY_SECONDS = 5.0

log = logging.getLogger(__name__)


class Reconciler:
    """Looks every 5 s; any number of replicas may do so side by side."""

    def __init__(self, database: Database, forgetting: Forgetting, tell: Tell) -> None:
        self._database, self._forgetting, self._tell = database, forgetting, tell

    async def run(self) -> None:
        """Looks until cancelled, whatever Postgres does."""
        while True:
            try:
                await self.look()
            except (Unavailable, *OUTAGES) as outage:
                log.warning("the reconciler is waiting", extra={"fault": repr(outage)})
            except Exception:
                log.exception("the reconciler failed")
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """One look."""
        closed = await close_waiting(self._database)
        if closed:
            log.warning("closed runs that were waiting", extra={"runs": len(closed)})
            await self._tell({run.id for run in closed})
        await self._forgetting.sweep()
