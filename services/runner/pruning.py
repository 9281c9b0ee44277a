"""Pruning, again and again, in the background."""

import logging
from functools import partial

from services.runner.operations.pruning import Pruning
from services.runner.rounds import Look, go_round
from shared.slices import slice_by_slice

log = logging.getLogger(__name__)


async def prune_for_ever(pruning: Pruning) -> None:
    """Looks every 5 s until it is cancelled; what fails is tried again with the next look."""
    looks: dict[str, Look] = {
        "outlived": pruning.delete_outlived,
        "ended": pruning.mark_ended,
        "removals": partial(slice_by_slice, pruning.remove_slice),
        "keys": pruning.forget_keys,
    }
    await go_round(looks, log, "pruning is waiting")
