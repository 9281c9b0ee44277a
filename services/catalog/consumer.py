"""What the catalog hears: that runs finished."""

from services.catalog.operations.test_sets import TestSets
from shared.consumer import Hearing
from shared.topics import RUN_FINISHED


def hearing(test_sets: TestSets) -> Hearing:
    """Keeps `last_run_*` of the test sets up to date."""
    return Hearing(RUN_FINISHED, test_sets.note_finished)
