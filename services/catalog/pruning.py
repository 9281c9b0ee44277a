"""Forgetting, again and again, in the background."""

import asyncio
import logging

import asyncpg

from services.catalog.operations.retention import Retention
from shared.errors import Unavailable
from shared.postgres import OUTAGES

ROUND_SECONDS = 30.0

log = logging.getLogger(__name__)


async def prune_for_ever(retention: Retention) -> None:
    """A round every 30 s until it is cancelled; one that fails is tried again with the next."""
    while True:
        await asyncio.sleep(ROUND_SECONDS)
        try:
            await retention.prune()
        except (Unavailable, asyncpg.PostgresError, *OUTAGES) as fault:
            log.warning("pruning is waiting", extra={"fault": repr(fault)})
