"""Answering reads about test runs of projects."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from services.reporting.clients import Catalog
from services.reporting.entities.families import Listing
from services.reporting.entities.runs import DATASET, Run, Tally
from services.reporting.operations.learning import RUN, Learning
from services.reporting.store import executions, listings, runs
from shared.errors import NotFound
from shared.pages import PageRequest

PROJECT = "project"


@dataclass(frozen=True)
class ProjectRun:
    """A test run, what was found by evaluator, and how many cases the runner says are recorded, 0 if it wasn't asked."""

    run: Run
    found: Mapping[str, Tally]
    executed_cases: int


class ProjectTestRunReading:
    """Reads test runs with their summaries."""

    def __init__(self, learning: Learning, catalog: Catalog) -> None:
        self._learning, self._catalog = learning, catalog

    async def run(self, workspace: UUID, project_id: UUID, run_id: UUID) -> ProjectRun:
        """A test run as it is now. Raises NotFound and Unavailable."""
        _, executed = await self._learning.run(workspace, run_id, DATASET)
        async with self._learning.snapshot() as connection:
            found = await runs.find(connection, workspace, run_id)
            if found is None or found.subject.group_key != str(project_id):
                raise NotFound(RUN)
            return ProjectRun(found, (await executions.evaluations(connection, workspace, [run_id])).get(run_id, {}), executed)

    async def of_project(self, workspace: UUID, project_id: UUID, request: PageRequest) -> list[ProjectRun]:
        """A page of a project's test runs. Raises NotFound, and Unavailable if only the catalog could tell that."""
        executed = await self._learning.open_of_group(workspace, DATASET, str(project_id))
        async with self._learning.snapshot() as connection:
            page = await listings.page(connection, workspace, Listing(DATASET, group_key=str(project_id)), request)
            found = await executions.evaluations(connection, workspace, [run.id for run in page.items])
        if not page.total and not await self._catalog.has_subject(workspace, PROJECT, str(project_id)):
            raise NotFound(PROJECT)
        return [ProjectRun(run, found.get(run.id, {}), executed.get(run.id, 0)) for run in page.items]
