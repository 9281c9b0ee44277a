"""Answering reads about runs of test sets. Status, counts and results come from one projection, so they always agree."""

from uuid import UUID

from services.reporting.clients import Catalog
from services.reporting.entities.results import Result
from services.reporting.entities.runs import TEST_SET, Run
from services.reporting.operations.learning import RUN, Learning
from services.reporting.store import results, runs, tombstones
from shared.errors import NotFound
from shared.pages import Page, PageRequest

TEST_SET_KIND = "test set"


class Reading:
    """Reads rows; of a run that isn't projected or isn't final, the runner is asked first and what it says is written down."""

    def __init__(self, learning: Learning, catalog: Catalog) -> None:
        self._learning, self._catalog = learning, catalog

    async def run(self, workspace: UUID, run_id: UUID) -> Run:
        """The run as it is now. Raises NotFound, and Unavailable if it isn't projected and the runner is away."""
        found, _ = await self._learning.run(workspace, run_id, TEST_SET)
        return found

    async def known(self, workspace: UUID, run_id: UUID) -> Run:
        """The run as far as it is projected, asking only if it isn't at all. Raises NotFound and Unavailable."""
        return await self._learning.known(workspace, run_id, TEST_SET)

    async def results(self, workspace: UUID, run_id: UUID, status: str | None, request: PageRequest) -> Page[Result]:
        """A page of a run's results in order of its cases. Raises NotFound and Unavailable."""
        await self.known(workspace, run_id)
        async with self._learning.snapshot() as connection:
            found = await runs.find(connection, workspace, run_id)
            if found is None:
                raise NotFound(RUN)
            return await results.page(connection, found, status, request)

    async def history(self, workspace: UUID, test_set_id: UUID, request: PageRequest) -> Page[Run]:
        """A page of a test set's runs. Raises NotFound, and Unavailable if only the catalog could tell that."""
        await self._learning.open_of_subject(workspace, test_set_id)
        async with self._learning.snapshot() as connection:
            if await tombstones.exists(connection, workspace, test_set_id):
                raise NotFound(TEST_SET_KIND)
            page = await runs.page_of_test_set(connection, workspace, test_set_id, request)
        # A set without runs, and one that doesn't exist, look the same from here.
        if not page.total and not await self._catalog.has_test_set(workspace, test_set_id):
            raise NotFound(TEST_SET_KIND)
        return page
