"""Whom the runner asks: catalog for cases, targets and secrets; reporting to forget."""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import grpc

from assay.catalog.internal.v1 import catalog_pb2, subjects_pb2
from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.catalog.internal.v1.subjects_pb2_grpc import SubjectInternalServiceStub
from assay.reporting.internal.v1 import reporting_pb2
from assay.reporting.internal.v1.reporting_pb2_grpc import ReportingInternalServiceStub
from assay.runner.v1.project_test_run_pb2 import ProjectTestRun
from services.runner import convert
from services.runner.entities import Run
from services.runner.wishes import Subject
from shared.channels import ServiceIdentity
from shared.remembered import Remembered

TIMEOUT = 10.0
KNOWN_SECONDS = 30.0
STREAM_TIMEOUT = 600.0
FORGET_TIMEOUT = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """What a call needs beside the frozen target."""

    base_url: str
    api_key: str


class Catalog:
    """The catalog, asked on behalf of a workspace."""

    def __init__(self, channel: grpc.aio.Channel, identity: ServiceIdentity) -> None:
        self._stub = CatalogInternalServiceStub(channel)
        self._subjects = SubjectInternalServiceStub(channel)
        self._known: Remembered[tuple[UUID, str, str], bool] = Remembered(KNOWN_SECONDS)
        self._identity = identity

    async def resolve(self, workspace: UUID, test_set_id: UUID, context_id: UUID) -> Subject:
        """The set and its target as they are now. Passes on NOT_FOUND."""
        request = catalog_pb2.ResolveTargetRequest(test_set_id=str(test_set_id), context_id=str(context_id))
        found = await self._stub.ResolveTarget(request, metadata=self._identity.metadata(workspace), timeout=TIMEOUT)
        return Subject(found.revision, found.case_count, found.mode, found.language, convert.target(found.target))

    async def cases(self, run: Run) -> AsyncIterator[catalog_pb2.CaseBatch]:
        """The set's cases at the run's revision, in order."""
        request = catalog_pb2.StreamCasesRequest(test_set_id=str(run.subject_id), revision=run.revision)
        metadata = self._identity.metadata(run.workspace_id)
        async for batch in self._stub.StreamCases(request, metadata=metadata, timeout=STREAM_TIMEOUT):
            yield batch

    async def open(self, workspace: UUID, request: subjects_pb2.OpenSubjectRequest) -> AsyncIterator[subjects_pb2.SubjectPart]:
        """What a run of another family executes: the subject, then its cases. Passes on NOT_FOUND and INVALID_ARGUMENT."""
        async for part in self._subjects.OpenSubject(request, metadata=self._identity.metadata(workspace), timeout=STREAM_TIMEOUT):
            yield part

    async def check(self, workspace: UUID, family: str, subject_id: str) -> None:
        """Passes on NOT_FOUND if the workspace has no such subject. What exists is believed for half a minute."""
        if self._known.get((workspace, family, subject_id)) is not None:
            return
        request = subjects_pb2.CheckSubjectRequest(family=family, subject_id=subject_id)
        await self._subjects.CheckSubject(request, metadata=self._identity.metadata(workspace), timeout=TIMEOUT)
        self._known.put((workspace, family, subject_id), True)

    async def suite(self, workspace: UUID, name: str) -> list[UUID]:
        """The assistant tests of a suite, in order of creation. Passes on NOT_FOUND."""
        request = subjects_pb2.ReadSuiteRequest(suite=name)
        found = await self._subjects.ReadSuite(request, metadata=self._identity.metadata(workspace), timeout=TIMEOUT)
        return [UUID(test_id) for test_id in found.test_ids]

    async def access(self, workspace: UUID, connection_id: UUID) -> Access:
        """A connection's address and secret. Passes on NOT_FOUND."""
        request = catalog_pb2.ReadConnectionRequest(connection_id=str(connection_id))
        found = await self._stub.ReadConnection(request, metadata=self._identity.metadata(workspace), timeout=TIMEOUT)
        return Access(found.base_url, found.api_key)


class Reporting:
    """Reporting, told of deletions before they are answered, and asked for what an answer shows."""

    def __init__(self, channel: grpc.aio.Channel, identity: ServiceIdentity) -> None:
        self._stub = ReportingInternalServiceStub(channel)
        self._identity = identity

    async def project_test_run(self, workspace: UUID, project_id: str, run_id: UUID) -> ProjectTestRun:
        """A project's test run as callers read it. Passes on NOT_FOUND."""
        request = reporting_pb2.ReadProjectTestRunRequest(project_id=project_id, test_run_id=str(run_id))
        found: ProjectTestRun = await self._stub.ReadProjectTestRun(request, metadata=self._identity.metadata(workspace), timeout=TIMEOUT)
        return found

    async def settled(self, workspace: UUID, run_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the runs whose results can all be read, so that nothing more is asked about their cases."""
        request = reporting_pb2.ListSettledRunsRequest(run_ids=map(str, run_ids))
        found = await self._stub.ListSettledRuns(request, metadata=self._identity.metadata(workspace), timeout=TIMEOUT)
        return {UUID(run_id) for run_id in found.run_ids}

    async def forget(self, workspace: UUID, run_id: UUID) -> None:
        """Hides a run at once; if reporting is away, the event does it later."""
        request = reporting_pb2.ForgetRequest(run_ids=[str(run_id)])
        try:
            await self._stub.Forget(request, metadata=self._identity.metadata(workspace), timeout=FORGET_TIMEOUT)
        except grpc.aio.AioRpcError as fault:
            log.warning("reporting will forget later", extra={"run_id": str(run_id), "fault": str(fault.code())})
