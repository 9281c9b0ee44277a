"""What the runner hears: scores, schedules, and deleted subjects."""

from collections.abc import Sequence
from datetime import UTC, datetime

from services.runner.operations import runs, schedules
from services.runner.operations.completion import Completion
from shared.consumer import Hearing, Received
from shared.postgres import Database
from shared.topics import CASES_SCORED, SCHEDULE_SET, SUBJECT_DELETED


def hearings(database: Database, completion: Completion) -> tuple[Hearing, ...]:
    """Topic → operation."""

    async def subjects_deleted(events: Sequence[Received]) -> None:
        await runs.hear_subjects_deleted(database, events, lambda: datetime.now(UTC))

    async def schedules_set(events: Sequence[Received]) -> None:
        await schedules.hear_schedules_set(database, events, datetime.now(UTC))

    return (
        Hearing(CASES_SCORED, completion.hear_scored, batch=32),
        Hearing(SUBJECT_DELETED, subjects_deleted),
        Hearing(SCHEDULE_SET, schedules_set),
    )
