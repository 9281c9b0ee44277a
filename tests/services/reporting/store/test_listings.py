"""Runs of other families are found as their rules say."""

import itertools

from services.reporting.entities.families import TEST_STATUSES, Listing, test_status as status_of
from services.reporting.entities.runs import ASSISTANT_TEST, OPEN_STATES, Subject, Tally
from services.reporting.store import listings, runs
from shared.ids import new_id
from shared.pages import PageRequest
from tests.services.reporting.builders import a_run
from tests.services.reporting.conftest import Bench

TALLIES = (Tally(), Tally(passed=1), Tally(failed=1), Tally(errors=1), Tally(1, 1), Tally(1, 1, 1))
STATES = [*((state, False) for state in OPEN_STATES), ("completed", True), ("error", True), ("cancelled", True)]


async def test_sql_and_python_agree_where_a_run_of_a_test_stands(bench: Bench) -> None:
    workspace, subject = new_id(), Subject(new_id(), None, ASSISTANT_TEST)
    every = [
        a_run(state, closed=closed, tally=tally, workspace_id=workspace, subject=subject)
        for (state, closed), tally in itertools.product(STATES, TALLIES)
    ]
    async with bench.database.transaction() as connection:
        for run in every:
            await runs.insert(connection, run)
        await runs.save(connection, every)
        found = {
            status: await listings.page(
                connection, workspace, Listing(ASSISTANT_TEST, subject_id=subject.id, test_status=status), PageRequest(1, 100)
            )
            for status in TEST_STATUSES
        }
    for status, page in found.items():
        assert [run.id for run in page.items] == [run.id for run in reversed(every) if status_of(run) == status], status
        assert page.total == len(page.items)
    assert sum(page.total for page in found.values()) == len(every)
