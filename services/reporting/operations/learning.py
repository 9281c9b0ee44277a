"""Asking the runner about runs that aren't projected or aren't final, and writing down what it says."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from uuid import UUID

from services.reporting.clients import Runner
from services.reporting.entities.runs import News, Run, accepted
from services.reporting.store import runs, tombstones
from shared.errors import NotFound, Unavailable
from shared.postgres import Connection, Database, retrying

RUN = "run"


class Learning:
    """Reads runs of every family; of an open one the runner is asked first. A run of another family is not found."""

    def __init__(self, database: Database, runner: Runner) -> None:
        self._database, self._runner = database, runner

    async def run(self, workspace: UUID, run_id: UUID, family: str) -> tuple[Run, int]:
        """The run as it is now, and how many cases the runner says are executed, 0 if it wasn't asked.

        Raises NotFound, and Unavailable if the run isn't projected and the runner is away.
        """
        found = await self._find(workspace, run_id)
        executed = 0
        if found is None or not found.closed:
            found, executed = await self._asked(workspace, run_id, found)
        return _of(found, family), executed

    async def known(self, workspace: UUID, run_id: UUID, family: str) -> Run:
        """The run as far as it is projected, asking only if it isn't at all. Raises NotFound and Unavailable."""
        found = await self._find(workspace, run_id)
        if found is None:
            found, _ = await self._asked(workspace, run_id, None)
        return _of(found, family)

    async def open_of_subject(self, workspace: UUID, subject_id: UUID) -> Mapping[UUID, int]:
        """Learns of a subject's open runs, and tells how many cases of each are executed.

        The runner away: nothing is told, and what is projected stays as it is.
        """
        return await self._open(workspace, self._runner.open_runs(workspace, subject_id))

    async def open_of_group(self, workspace: UUID, family: str, group_key: str) -> Mapping[UUID, int]:
        """The same for all runs of a group."""
        return await self._open(workspace, self._runner.open_runs_of_group(workspace, family, group_key))

    async def _open(self, workspace: UUID, asked: Awaitable[Sequence[News]]) -> Mapping[UUID, int]:
        with contextlib.suppress(Unavailable):
            told = await asked
            await self._learn(workspace, told)
            return {news.id: news.executed_cases for news in told}
        return {}

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Everything read in it is of one moment, whatever is projected meanwhile."""
        async with self._database.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection

    async def _find(self, workspace: UUID, run_id: UUID) -> Run | None:
        async with self._database.connection() as connection:
            found = await runs.find(connection, workspace, run_id)
            if found is None and await tombstones.exists(connection, workspace, run_id):
                raise NotFound(RUN)
            return found

    async def _asked(self, workspace: UUID, run_id: UUID, found: Run | None) -> tuple[Run, int]:
        try:
            news = await self._runner.read_run(workspace, run_id)
        except Unavailable:
            if found is None:
                raise
            return found, 0
        if news is None:
            raise NotFound(RUN)
        await self._learn(workspace, [news])
        learned = await self._find(workspace, run_id)
        if learned is None:
            raise NotFound(RUN)
        return learned, news.executed_cases

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


def _of(found: Run, family: str) -> Run:
    if found.subject.family != family:
        raise NotFound(RUN)
    return found
