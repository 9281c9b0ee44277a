"""Answering reads about runs. Status, counts and results come from one projection, so they always agree."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from services.reporting.clients import Catalog, Runner
from services.reporting.entities import News, Result, Run, accepted
from services.reporting.store import results, runs, tombstones
from shared.errors import NotFound, Unavailable
from shared.pages import Page, PageRequest
from shared.postgres import Connection, Database, retrying

RUN, TEST_SET = "run", "test set"


class Reading:
    """Reads rows; of a run that isn't projected or isn't final, the runner is asked first and what it says is written down."""

    def __init__(self, database: Database, runner: Runner, catalog: Catalog) -> None:
        self._database, self._runner, self._catalog = database, runner, catalog

    async def run(self, workspace: UUID, run_id: UUID) -> Run:
        """The run as it is now. Raises NotFound, and Unavailable if it isn't projected and the runner is away."""
        found = await self._find(workspace, run_id)
        if found is not None and found.closed:
            return found
        return await self._asked(workspace, run_id, found)

    async def known(self, workspace: UUID, run_id: UUID) -> Run:
        """The run as far as it is projected, asking only if it isn't at all. Raises NotFound and Unavailable."""
        found = await self._find(workspace, run_id)
        return found if found is not None else await self._asked(workspace, run_id, None)

    async def results(self, workspace: UUID, run_id: UUID, status: str | None, request: PageRequest) -> Page[Result]:
        """A page of a run's results in order of its cases. Raises NotFound and Unavailable."""
        await self.known(workspace, run_id)
        async with self._snapshot() as connection:
            found = await runs.find(connection, workspace, run_id)
            if found is None:
                raise NotFound(RUN)
            return await results.page(connection, found, status, request)

    async def history(self, workspace: UUID, test_set_id: UUID, request: PageRequest) -> Page[Run]:
        """A page of a test set's runs. Raises NotFound, and Unavailable if only the catalog could tell that."""
        # The runner away: what is projected is shown as it is.
        with contextlib.suppress(Unavailable):
            await self._learn(workspace, await self._runner.open_runs(workspace, test_set_id))
        async with self._snapshot() as connection:
            if await tombstones.exists(connection, workspace, test_set_id):
                raise NotFound(TEST_SET)
            page = await runs.page_of_subject(connection, workspace, test_set_id, request)
        # A set without runs, and one that doesn't exist, look the same from here.
        if not page.total and not await self._catalog.has_test_set(workspace, test_set_id):
            raise NotFound(TEST_SET)
        return page

    async def _find(self, workspace: UUID, run_id: UUID) -> Run | None:
        async with self._database.connection() as connection:
            found = await runs.find(connection, workspace, run_id)
            if found is None and await tombstones.exists(connection, workspace, run_id):
                raise NotFound(RUN)
            return found

    async def _asked(self, workspace: UUID, run_id: UUID, found: Run | None) -> Run:
        try:
            news = await self._runner.read_run(workspace, run_id)
        except Unavailable:
            if found is None:
                raise
            return found
        if news is None:
            raise NotFound(RUN)
        await self._learn(workspace, [news])
        learned = await self._find(workspace, run_id)
        if learned is None:
            raise NotFound(RUN)
        return learned

    async def _learn(self, workspace: UUID, told: Sequence[News]) -> None:
        """Writes down what the runner says, where it is new."""
        async with self._database.connection() as connection:
            known = await runs.find_all(connection, workspace, [news.id for news in told])
        fresh = [news for news in told if news.id not in known or known[news.id].is_news(news)]
        if not fresh:
            return

        async def write() -> None:
            async with self._database.transaction() as connection:
                for news in sorted(fresh, key=lambda news: news.id):
                    await runs.insert(connection, accepted(news))
                locked = await runs.lock(connection, [news.id for news in fresh])
                await runs.save(connection, [locked[news.id].learning(news) for news in fresh if news.id in locked])

        await retrying(write)

    @contextlib.asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        """Everything read in it is of one moment, whatever is projected meanwhile."""
        async with self._database.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
