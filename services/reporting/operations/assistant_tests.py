"""Answering reads about runs of assistant tests."""

from collections.abc import Mapping
from uuid import UUID

from services.reporting.clients import Catalog
from services.reporting.entities.families import Conversation, Listing
from services.reporting.entities.runs import ASSISTANT_TEST, Run
from services.reporting.operations.learning import RUN, Learning
from services.reporting.store import listings, runs
from shared.errors import NotFound
from shared.pages import Page, PageRequest

TEST, SUITE = "assistant test", "test suite"

Told = Mapping[UUID, Conversation]


class AssistantTestReading:
    """Reads runs, and the conversation that each of them is."""

    def __init__(self, learning: Learning, catalog: Catalog) -> None:
        self._learning, self._catalog = learning, catalog

    async def run(self, workspace: UUID, test_id: UUID, run_id: UUID) -> tuple[Run, Told]:
        """A run of a test as it is now. Raises NotFound and Unavailable."""
        await self._learning.run(workspace, run_id, ASSISTANT_TEST)
        async with self._learning.snapshot() as connection:
            found = await runs.find(connection, workspace, run_id)
            if found is None or found.subject.id != test_id:
                raise NotFound(RUN)
            return found, await listings.conversations(connection, workspace, [run_id])

    async def of_test(self, workspace: UUID, test_id: UUID, status: str | None, request: PageRequest) -> tuple[Page[Run], Told]:
        """A page of a test's runs. Raises NotFound, and Unavailable if only the catalog could tell that."""
        await self._learning.open_of_subject(workspace, test_id)
        found = await self._page(workspace, Listing(ASSISTANT_TEST, subject_id=test_id, test_status=status), request)
        # A test without runs, and one that doesn't exist, look the same from here.
        if not found[0].total and not await self._catalog.has_subject(workspace, ASSISTANT_TEST, str(test_id)):
            raise NotFound(TEST)
        return found

    async def of_suite(self, workspace: UUID, wanted: Listing, request: PageRequest) -> tuple[Page[Run], Told]:
        """A page of the runs of a suite, which `wanted.group_key` names. Raises NotFound and Unavailable likewise."""
        suite = wanted.group_key or ""
        await self._learning.open_of_group(workspace, ASSISTANT_TEST, suite)
        found = await self._page(workspace, wanted, request)
        if not found[0].total and not await self._knows_suite(workspace, suite):
            raise NotFound(SUITE)
        return found

    async def _knows_suite(self, workspace: UUID, suite: str) -> bool:
        async with self._learning.snapshot() as connection:
            ran = await listings.page(connection, workspace, Listing(ASSISTANT_TEST, group_key=suite), PageRequest(1, 1))
        return bool(ran.total) or await self._catalog.has_subject(workspace, "suite", suite)

    async def _page(self, workspace: UUID, wanted: Listing, request: PageRequest) -> tuple[Page[Run], Told]:
        async with self._learning.snapshot() as connection:
            page = await listings.page(connection, workspace, wanted, request)
            return page, await listings.conversations(connection, workspace, [run.id for run in page.items])
