"""Pruning, again and again, in the background."""

import asyncio
import logging

from services.runner.operations.pruning import Pruning

EVERY_SECONDS = 5.0

log = logging.getLogger(__name__)


async def prune_for_ever(pruning: Pruning) -> None:
    """Looks every 5 s until it is cancelled; what fails is tried again with the next look."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        for look in (pruning.delete_outlived, pruning.mark_ended, lambda: remove_all(pruning), pruning.forget_keys):
            try:
                await look()
            except asyncio.CancelledError:
                raise
            except Exception as fault:  # noqa: BLE001 looked at again in 5 s
                log.warning("pruning is waiting", extra={"fault": repr(fault)})


async def remove_all(pruning: Pruning) -> None:
    """Removes what is marked, slice by slice."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while await pruning.remove_slice():
        # As long as the slice took: however slow Postgres is, half of the time belongs to others.
        await asyncio.sleep(clock() - began)
        began = clock()
