"""Looking after things in the background, again and again, whatever fails meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

EVERY_SECONDS = 5.0

Look = Callable[[], Awaitable[object]]


async def go_round(looks: Mapping[str, Look], log: logging.Logger, trouble: str) -> None:
    """Looks every 5 s until it is cancelled, at one thing after the other; what fails is told as `trouble` and looked at again."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        for name, look in looks.items():
            try:
                await look()
            except Exception as fault:  # noqa: BLE001 looked at again in 5 s
                log.warning(trouble, extra={"look": name, "fault": repr(fault)})
