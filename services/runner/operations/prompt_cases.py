"""Family C: one case of a prompt, run against one version of it."""

from datetime import datetime
from uuid import UUID

from assay.catalog.internal.v1 import subjects_pb2
from assay.runner.v1 import prompt_test_case_runs_pb2 as pb
from services.runner.clients import Catalog
from services.runner.entities import FINAL
from services.runner.operations import opening
from services.runner.store import runs
from shared.idempotency import Effect, Key, answered, once
from shared.postgres import Connection, Database

FAMILY = "prompt_test_case"


async def generate(
    database: Database, catalog: Catalog, workspace: UUID, wanted: tuple[UUID, UUID], when: tuple[Key | None, datetime]
) -> pb.StartedGeneration:
    """Starts a generation; `wanted` is (case id, version id), `when` (idempotency key, now). Passes on the catalog's refusals."""
    key, now = when
    case_id, version_id = wanted
    known = await answered(database, key, pb.StartedGeneration)
    if known is not None:
        return known
    request = subjects_pb2.OpenSubjectRequest(family=FAMILY, subject_id=str(case_id), version_id=str(version_id))
    opened = await opening.read(catalog, workspace, request)

    async def accept(connection: Connection) -> pb.StartedGeneration:
        # Of two at once only one begins: the second sees the first's run.
        await runs.lock_subject(connection, case_id)
        for run in await runs.open_of_subject(connection, workspace, case_id):
            if run.target_id == version_id and run.state not in FINAL:
                return pb.StartedGeneration(generation_id=str(run.id), success=False)
        run = await opening.begin(connection, opened, opening.Accepting(workspace, "api", now))
        return pb.StartedGeneration(generation_id=str(run.id), success=True)

    return await once(database, key, Effect(pb.StartedGeneration, accept))
