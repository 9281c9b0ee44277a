"""What scoring hears: executed cases, and deleted runs."""

from collections.abc import Sequence

from services.scoring import operations
from services.scoring.operations import Parts
from shared.consumer import Hearing, Received
from shared.topics import CASES_EXECUTED, RUN_DELETED


def hearings(parts: Parts) -> tuple[Hearing, ...]:
    """Topic → operation."""

    async def cases_executed(events: Sequence[Received]) -> None:
        await operations.score_executed(parts, events)

    async def runs_deleted(events: Sequence[Received]) -> None:
        await operations.hear_runs_deleted(parts.database, events)

    return (
        # Two loops: while one waits for its commit, the other scores.
        Hearing(CASES_EXECUTED, cases_executed, batch=16, loops=2),
        Hearing(RUN_DELETED, runs_deleted),
    )
