"""When runs start by themselves."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from cronsim import CronSim, CronSimError

ASSISTANT_TEST, SUITE = "assistant_test", "suite"


@dataclass(frozen=True)
class Schedule:
    """A schedule of an assistant test, or of a suite by its name. `next_at`: when it is to fire; None: never."""

    workspace_id: UUID
    family: str
    subject_id: str
    cron: str
    revision: int
    next_at: datetime | None


def next_time(cron: str, after: datetime) -> datetime | None:
    """The first moment after this at which the expression fires, in UTC; None if it never does."""
    try:
        return next(CronSim(cron, after.astimezone(UTC)))
    except (CronSimError, StopIteration):
        return None
