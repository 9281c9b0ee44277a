"""What the runner hears: scores, and deleted test sets."""

from collections.abc import Sequence
from datetime import UTC, datetime

from services.runner.operations import runs
from services.runner.operations.completion import Completion
from shared.consumer import Hearing, Received
from shared.postgres import Database
from shared.topics import CASES_SCORED, SUBJECT_DELETED


def hearings(database: Database, completion: Completion) -> tuple[Hearing, ...]:
    """Topic → operation."""

    async def subjects_deleted(events: Sequence[Received]) -> None:
        await runs.hear_subjects_deleted(database, events, lambda: datetime.now(UTC))

    return (
        Hearing(CASES_SCORED, completion.hear_scored, batch=32),
        Hearing(SUBJECT_DELETED, subjects_deleted),
    )
