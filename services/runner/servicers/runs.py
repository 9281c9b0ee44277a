"""RunService: the commands on runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from google.protobuf import empty_pb2

from assay.runner.v1 import runs_pb2, runs_pb2_grpc
from services.runner import convert
from services.runner.clients import Catalog, Reporting
from services.runner.operations import runs
from shared.idempotency import key_of
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.postgres import Database
from shared.server import answer_with


@dataclass(frozen=True)
class Parts:
    """What the commands need. `accepted` is told of new runs, `cancelled` of cancelled ones, after the commit."""

    database: Database
    catalog: Catalog
    reporting: Reporting
    accepted: Callable[[UUID], None]
    cancelled: Callable[[UUID], Awaitable[None]]
    clock: Callable[[], datetime]


class RunServicer(runs_pb2_grpc.RunServiceServicer):
    """Unpack, call, pack."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def StartRun(self, request: runs_pb2.StartRunRequest, context: Context) -> runs_pb2.Run:
        parts = self._parts
        key = key_of(tuple(context.invocation_metadata() or ()), workspace(), request)
        start = runs.Start(workspace(), convert.wish(request), key, parts.clock())
        run, new = await runs.start_run(parts.database, parts.catalog, start)
        if new:
            parts.accepted(UUID(run.id))
        await answer_with(context, 201)
        return run

    async def CancelRun(self, request: runs_pb2.CancelRunRequest, context: Context) -> runs_pb2.Run:  # noqa: ARG002
        run_id = parse_id(request.run_id, "run")
        run, counts = await runs.cancel_run(self._parts.database, workspace(), run_id)
        await self._parts.cancelled(run_id)
        return convert.run(run, counts)

    async def DeleteRun(self, request: runs_pb2.DeleteRunRequest, context: Context) -> empty_pb2.Empty:
        parts, run_id = self._parts, parse_id(request.run_id, "run")
        await runs.delete_run(parts.database, workspace(), run_id, parts.clock())
        await parts.reporting.forget(workspace(), run_id)
        await parts.cancelled(run_id)  # ends the calls that are in flight for it
        await answer_with(context, 204)
        return empty_pb2.Empty()
