"""Pruning, again and again, in the background."""

import asyncio
import logging

from services.runner.operations.pruning import Pruning
from shared.slices import slice_by_slice

EVERY_SECONDS = 5.0

log = logging.getLogger(__name__)


async def prune_for_ever(pruning: Pruning) -> None:
    """Looks every 5 s until it is cancelled; what fails is tried again with the next look."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        for look in (pruning.delete_outlived, pruning.mark_ended, lambda: slice_by_slice(pruning.remove_slice), pruning.forget_keys):
            try:
                await look()
            except asyncio.CancelledError:
                raise
            except Exception as fault:  # noqa: BLE001 looked at again in 5 s
                log.warning("pruning is waiting", extra={"fault": repr(fault)})
