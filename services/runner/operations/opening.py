"""Opening: a run of any family but a test set's begins with its cases, in the transaction that accepts it.

A test set may hold a million cases, so its runs are accepted first and frozen after; here the cases are few enough to be
answered with the run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from assay.catalog.internal.v1 import catalog_pb2, subjects_pb2
from assay.runner.internal.v1 import events_pb2
from services.runner import convert
from services.runner.clients import Catalog
from services.runner.entities import Run
from services.runner.operations import dispatch
from services.runner.store import cases, runs
from services.runner.subjects import MAX_OPENED_CASES, Opened, opened_run
from shared import outbox
from shared.errors import Invalid
from shared.ids import new_id
from shared.outbox import Event
from shared.postgres import Connection
from shared.topics import RUN_STARTED


@dataclass(frozen=True)
class Accepting:
    """For whom, by what and when a run is started; `details` are added to the subject's own."""

    workspace: UUID
    triggered_by: str
    now: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


async def read(catalog: Catalog, workspace: UUID, request: subjects_pb2.OpenSubjectRequest) -> Opened:
    """The subject and its cases, all of one moment. Passes on NOT_FOUND and INVALID_ARGUMENT; raises Invalid for too many cases."""
    subject, found = None, list[catalog_pb2.Case]()
    async for part in catalog.open(workspace, request):
        if part.HasField("subject"):
            subject = part.subject
        found.extend(part.cases.cases)
        if len(found) > MAX_OPENED_CASES:
            raise Invalid({"cases": f"a run may have at most {MAX_OPENED_CASES} cases"})
    if subject is None:
        raise ValueError("the catalog opened a subject without saying what it is")
    return convert.opened(request.family, subject, found)


async def begin(connection: Connection, opened: Opened, accepting: Accepting) -> Run:
    """Writes a running run with its cases, and its first tickets unless the client executes them. Raises EmptySet."""
    run = opened_run(opened, new_id(), accepting.workspace, accepting.triggered_by, accepting.now, accepting.details, accepting.tags)
    await runs.insert(connection, run)
    await cases.freeze(connection, convert.frozen(run, 1, 0, opened.cases))
    started = events_pb2.RunStarted(run=convert.run_state(run))
    await outbox.append(connection, [Event(RUN_STARTED, started, f"started:{run.id}")])
    await dispatch.fill_window(connection, run.id)
    return run
