"""Whom reporting asks: the runner about runs, the catalog about what runs are of."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import grpc

from assay.catalog.internal.v1 import catalog_pb2, subjects_pb2
from assay.runner.internal.v1 import runner_pb2
from services.reporting.convert import events
from services.reporting.entities.runs import News
from shared.channels import ServiceIdentity
from shared.errors import Unavailable
from shared.long_texts import LongTexts, Portion

if TYPE_CHECKING:  # these exist in the stubs' types alone
    from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceAsyncStub
    from assay.catalog.internal.v1.subjects_pb2_grpc import SubjectInternalServiceAsyncStub
    from assay.runner.internal.v1.runner_pb2_grpc import RunnerInternalServiceAsyncStub

READ_SECONDS = 2.0

log = logging.getLogger(__name__)


class Runner:
    """The runner, asked with the workspace's service JWT."""

    def __init__(self, stub: "RunnerInternalServiceAsyncStub", identity: ServiceIdentity) -> None:
        self._stub, self._identity = stub, identity
        self._long_texts = LongTexts(stub, identity)

    async def read_run(self, workspace: UUID, run_id: UUID) -> News | None:
        """A run as the runner knows it; None if it has none. Raises Unavailable."""
        request = runner_pb2.ReadRunRequest(run_id=str(run_id))
        try:
            state = await self._stub.ReadRun(request, metadata=self._identity.metadata(workspace), timeout=READ_SECONDS)
        except grpc.aio.AioRpcError as fault:
            if fault.code() == grpc.StatusCode.NOT_FOUND:
                return None
            raise _away("runner", fault) from fault
        return events.news(state)

    async def open_runs(self, workspace: UUID, subject_id: UUID) -> list[News]:
        """A subject's runs that aren't final. Raises Unavailable."""
        return await self._open_runs(workspace, runner_pb2.ListOpenRunsRequest(subject_id=str(subject_id)))

    async def open_runs_of_group(self, workspace: UUID, family: str, group_key: str) -> list[News]:
        """A group's runs that aren't final. Raises Unavailable."""
        return await self._open_runs(workspace, runner_pb2.ListOpenRunsRequest(family=family, group_key=group_key))

    async def _open_runs(self, workspace: UUID, request: runner_pb2.ListOpenRunsRequest) -> list[News]:
        try:
            answer = await self._stub.ListOpenRuns(request, metadata=self._identity.metadata(workspace), timeout=READ_SECONDS)
        except grpc.aio.AioRpcError as fault:
            raise _away("runner", fault) from fault
        return [events.news(state) for state in answer.runs]

    @contextlib.asynccontextmanager
    async def texts(self, workspace: UUID, run_id: UUID, ords: Sequence[int]) -> AsyncIterator[Portion]:
        """Texts that were too long for an event: those of the first of these cases, given in order. Raises Unavailable."""
        async with contextlib.AsyncExitStack() as held:
            try:
                portion = await held.enter_async_context(self._long_texts.portion(workspace, str(run_id), ords))
            except grpc.aio.AioRpcError as fault:
                raise _away("runner", fault) from fault
            yield portion


class Catalog:
    """The catalog, asked with the workspace's service JWT."""

    def __init__(
        self, stub: "CatalogInternalServiceAsyncStub", subjects: "SubjectInternalServiceAsyncStub", identity: ServiceIdentity
    ) -> None:
        self._stub, self._subjects, self._identity = stub, subjects, identity

    async def has_test_set(self, workspace: UUID, test_set_id: UUID) -> bool:
        """Whether the workspace has this test set. Raises Unavailable."""
        request = catalog_pb2.CheckTestSetRequest(test_set_id=str(test_set_id))
        return await _exists(self._stub.CheckTestSet(request, metadata=self._identity.metadata(workspace), timeout=READ_SECONDS))

    async def has_subject(self, workspace: UUID, family: str, subject_id: str) -> bool:
        """Whether the workspace has this subject, or what its runs are grouped by. Raises Unavailable."""
        request = subjects_pb2.CheckSubjectRequest(family=family, subject_id=subject_id)
        return await _exists(self._subjects.CheckSubject(request, metadata=self._identity.metadata(workspace), timeout=READ_SECONDS))


async def _exists(check: Awaitable[object]) -> bool:
    try:
        await check
    except grpc.aio.AioRpcError as fault:
        if fault.code() == grpc.StatusCode.NOT_FOUND:
            return False
        raise _away("catalog", fault) from fault
    return True


def _away(peer: str, fault: grpc.aio.AioRpcError) -> Unavailable:
    log.warning("a peer can't be asked", extra={"peer": peer, "fault": f"{fault.code()} {fault.details()}"})
    return Unavailable("a part of the service can't be reached right now")
