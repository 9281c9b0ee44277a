"""What is heard, and by whom it is handled."""

from services.reporting.operations.forgetting import Forgetting
from services.reporting.operations.projection import Projection
from shared.consumer import Hearing
from shared.topics import CASES_SCORED, RUN_DELETED, RUN_FINISHED, RUN_STARTED, SUBJECT_DELETED

# An event carries up to 64 cases: so many of them at once that a transaction's cost is shared by some thousand results.
SCORED_AT_ONCE = 32


def hearings(projection: Projection, forgetting: Forgetting) -> tuple[Hearing, ...]:
    """Every topic that reporting hears."""
    return (
        Hearing(RUN_STARTED, projection.runs_started),
        Hearing(CASES_SCORED, projection.cases_scored, batch=SCORED_AT_ONCE, loops=2),
        Hearing(RUN_FINISHED, projection.runs_finished),
        Hearing(RUN_DELETED, forgetting.runs_deleted),
        Hearing(SUBJECT_DELETED, forgetting.subjects_deleted),
    )
