"""Answering reads about executions of run tests."""

import contextlib
from collections.abc import Mapping, Sequence
from uuid import UUID

from services.reporting.clients import Catalog
from services.reporting.entities.families import Listing, evaluations
from services.reporting.entities.runs import RUN_TEST, Run, Tally
from services.reporting.operations.learning import Learning
from services.reporting.store import executions, listings
from shared.errors import NotFound
from shared.pages import Page, PageRequest

RUN_TEST_KIND, EXECUTION = "run test", "execution"
# Runs of run tests have no other group.
GROUP = ""


class SimulationReading:
    """Reads executions, and what their evaluations found."""

    def __init__(self, learning: Learning, catalog: Catalog) -> None:
        self._learning, self._catalog = learning, catalog

    async def executions(self, workspace: UUID, run_test_id: UUID, request: PageRequest) -> tuple[Page[Run], Mapping[UUID, int]]:
        """A page of executions, and how many calls of the open ones were held. Raises NotFound and Unavailable."""
        held = await self._learning.open_of_subject(workspace, run_test_id)
        async with self._learning.snapshot() as connection:
            page = await listings.page(connection, workspace, Listing(RUN_TEST, subject_id=run_test_id), request)
        if not page.total:
            await self._require(workspace, run_test_id)
        return page, held

    async def summary(self, workspace: UUID, run_test_id: UUID, execution_id: UUID | None) -> Mapping[str, Tally]:
        """What each evaluation found in an execution, or in the newest, by name. Raises NotFound and Unavailable."""
        run = await self._execution(workspace, run_test_id, execution_id)
        if run is None:
            return {}
        async with self._learning.snapshot() as connection:
            found = await executions.evaluations(connection, workspace, [run.id])
        return evaluations(run, found.get(run.id, {}))

    async def newest(self, workspace: UUID, run_test_ids: Sequence[UUID]) -> list[tuple[Run, int]]:
        """The newest execution of each run test that has one, and how many of its calls were held if it is open."""
        held = await self._learning.open_of_group(workspace, RUN_TEST, GROUP)
        async with self._learning.snapshot() as connection:
            found = await listings.newest(connection, workspace, RUN_TEST, run_test_ids)
        return [(run, held.get(run.id, 0)) for run in found]

    async def _execution(self, workspace: UUID, run_test_id: UUID, execution_id: UUID | None) -> Run | None:
        if execution_id is None:
            page, _ = await self.executions(workspace, run_test_id, PageRequest(1, 1))
            return page.items[0] if page.items else None
        with contextlib.suppress(NotFound):
            run = await self._learning.known(workspace, execution_id, RUN_TEST)
            if run.subject.id == run_test_id:
                return run
        await self._require(workspace, run_test_id)
        raise NotFound(EXECUTION)

    async def _require(self, workspace: UUID, run_test_id: UUID) -> None:
        # A run test without executions, and one that doesn't exist, look the same from here.
        if not await self._catalog.has_subject(workspace, RUN_TEST, str(run_test_id)):
            raise NotFound(RUN_TEST_KIND)
