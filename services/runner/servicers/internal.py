"""RunnerInternalService: what the other services ask."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from uuid import UUID

from assay.runner.internal.v1 import runner_pb2, runner_pb2_grpc
from services.runner import convert
from services.runner.entities import TEST_SET, Run
from services.runner.operations import runs as operations
from services.runner.store import cases, runs
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.postgres import Connection, Database


class RunnerInternalServicer(runner_pb2_grpc.RunnerInternalServiceServicer):
    """Unpack, call, pack."""

    def __init__(self, database: Database, cancelled: Callable[[UUID], Awaitable[None]], clock: Callable[[], datetime]) -> None:
        self._database, self._cancelled, self._clock = database, cancelled, clock

    async def ReadRun(self, request: runner_pb2.ReadRunRequest, context: Context) -> runner_pb2.RunState:  # noqa: ARG002
        async with self._database.connection() as connection:
            run = await runs.get(connection, workspace(), parse_id(request.run_id, "run"))
            return convert.run_state(run, await _executed(connection, run))

    async def ListOpenRuns(
        self,
        request: runner_pb2.ListOpenRunsRequest,
        context: Context,  # noqa: ARG002
    ) -> runner_pb2.ListOpenRunsResponse:
        async with self._database.connection() as connection:
            if request.subject_id:
                found = await runs.open_of_subject(connection, workspace(), parse_id(request.subject_id, "subject"))
            else:
                found = await runs.open_of_group(connection, workspace(), request.family, request.group_key)
            executed = [await _executed(connection, run) for run in found]
        return runner_pb2.ListOpenRunsResponse(runs=map(convert.run_state, found, executed))

    async def ReadTexts(
        self,
        request: runner_pb2.ReadTextsRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[runner_pb2.CaseTexts]:
        async with self._database.connection() as connection:
            run = await runs.get(connection, workspace(), parse_id(request.run_id, "run"))
        for ord_ in sorted(request.ords):
            # A connection for each: a caller that reads slowly must not hold one of the pool's meanwhile.
            async with self._database.connection() as connection:
                texts = await cases.texts(connection, run.id, ord_)
            if texts is not None:
                yield convert.case_texts(dict(texts))

    async def ForgetSubject(
        self,
        request: runner_pb2.ForgetSubjectRequest,
        context: Context,  # noqa: ARG002
    ) -> runner_pb2.ForgetSubjectResponse:
        subject_id = parse_id(request.subject_id, "subject")
        for run_id in await operations.forget_subject(self._database, workspace(), subject_id, self._clock()):
            await self._cancelled(run_id)
        return runner_pb2.ForgetSubjectResponse()


async def _executed(connection: Connection, run: Run) -> int:
    """How many cases are executed; of a test set's run nobody asks. All of a run that ended, whose cases may be gone by now."""
    if run.family == TEST_SET:
        return 0
    return run.total_cases if run.final else await cases.executed_count(connection, run.id)
