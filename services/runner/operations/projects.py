"""Family A: runs over a dataset that the client executes."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from assay.runner.v1 import project_test_runs_pb2 as pb
from assay.runner.v1.project_test_run_pb2 import ProjectTestRun
from services.runner.clients import Catalog, Reporting
from services.runner.convert import projects as convert
from services.runner.operations import opening, recording
from services.runner.operations.recording import Recorder, Whose
from services.runner.projects import NewTestRun
from services.runner.store import runs
from services.runner.subjects import Recording
from shared.errors import Invalid, NotFound
from shared.idempotency import Effect, Key, answered, once
from shared.postgres import Connection, Database

PROJECT = "project"
MAX_ANSWER_BYTES = 15 << 20
SCORED_SECONDS, POLL_SECONDS = 5.0, 0.05


async def create(
    database: Database, catalog: Catalog, workspace: UUID, asked: NewTestRun, when: tuple[Key | None, datetime]
) -> pb.CreatedTestRun:
    """Starts a run and answers it with its cases; `when` is (idempotency key, now). Raises EmptySet; passes on the catalog's refusals."""
    key, now = when
    known = await answered(database, key, pb.CreatedTestRun)
    if known is not None:
        return known
    opened = await opening.read(catalog, workspace, convert.opening(asked))
    accepting = opening.Accepting(workspace, "api", now, _details(asked, now))

    async def accept(connection: Connection) -> pb.CreatedTestRun:
        run = await opening.begin(connection, opened, accepting)
        made = convert.created(run, opened, with_outputs=asked.include_outputs)
        if made.ByteSize() > MAX_ANSWER_BYTES:
            # The gateway could not carry it, and the client would never learn of a run that waits for it.
            raise Invalid({"dataset_name": f"its cases are more than {MAX_ANSWER_BYTES >> 20} MB together: split the dataset"})
        return made

    return await once(database, key, Effect(pb.CreatedTestRun, accept))


def _details(asked: NewTestRun, now: datetime) -> Mapping[str, Any]:
    return {
        "name": asked.name or f"{asked.dataset_name} {now:%Y-%m-%d %H:%M:%S}",
        "description": asked.description,
        "flavor_name": asked.flavor_name,
        "include_outputs": asked.include_outputs,
    }


async def record(recorder: Recorder, catalog: Catalog, workspace: UUID, project: str, case: tuple[UUID, UUID], said: Recording) -> None:
    """Keeps what a client says of a case, given as (run id, case id). Raises NotFound for the project, the run, the case; WrongState."""
    run_id, case_id = case
    await check_project(catalog, workspace, project)
    await recorder.record(Whose(workspace, convert.DATASET, project.lower(), run_id), case_id, said)


async def close(database: Database, catalog: Catalog, workspace: UUID, project: str, run_id: UUID) -> None:
    """Completes a run with the missing cases as errors. Raises NotFound for the project and the run."""
    await check_project(catalog, workspace, project)
    await _run_of(database, workspace, project, run_id)
    await recording.close(database, workspace, run_id)


async def completed(reporting: Reporting, workspace: UUID, project: str, run_id: UUID) -> ProjectTestRun:
    """The run once it reads completed, or as it is after a few seconds: scoring may wait for a judge."""
    deadline = asyncio.get_running_loop().time() + SCORED_SECONDS
    while True:
        found = await reporting.project_test_run(workspace, project, run_id)
        if found.status == ProjectTestRun.completed or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(POLL_SECONDS)


async def _run_of(database: Database, workspace: UUID, project: str, run_id: UUID) -> None:
    async with database.connection() as connection:
        run = await runs.get(connection, workspace, run_id)
    if run.family != convert.DATASET or run.group_key != project.lower():
        raise NotFound("run")


async def check_project(catalog: Catalog, workspace: UUID, project: str) -> None:
    """Passes on NOT_FOUND if the workspace has no such project."""
    await catalog.check(workspace, PROJECT, project)
