"""assay.catalog.internal.v1.SubjectInternalService: what a run executes, family by family."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol
from uuid import UUID

from assay.catalog.internal.v1 import subjects_pb2 as pb, subjects_pb2_grpc
from shared.errors import Invalid
from shared.identity import workspace
from shared.interceptors import Context


class Opener(Protocol):
    """How the subjects of one family are opened."""

    def open(self, workspace_id: UUID, request: pb.OpenSubjectRequest) -> AsyncIterator[pb.SubjectPart]:
        """The subject, then its cases, all of one moment. Raises NotFound, Invalid."""

    async def check(self, workspace_id: UUID, subject_id: str) -> None:
        """Raises NotFound if the workspace has no such subject."""


class Suites(Protocol):
    """Which assistant tests belong together."""

    async def tests(self, workspace_id: UUID, suite: str) -> list[UUID]:
        """In order of creation. Raises NotFound for a suite without tests."""


class SubjectInternalServicer(subjects_pb2_grpc.SubjectInternalServiceServicer):
    """`openers` by family; a family that runs are listed by, but that none executes, only has a check."""

    def __init__(self, openers: Mapping[str, Opener], suites: Suites) -> None:
        self._openers, self._suites = openers, suites

    async def OpenSubject(self, request: pb.OpenSubjectRequest, context: Context) -> AsyncIterator[pb.SubjectPart]:  # noqa: ARG002
        async for part in self._opener(request.family).open(workspace(), request):
            yield part

    async def ReadSuite(self, request: pb.ReadSuiteRequest, context: Context) -> pb.ReadSuiteResponse:  # noqa: ARG002
        tests = await self._suites.tests(workspace(), request.suite)
        return pb.ReadSuiteResponse(test_ids=[str(test) for test in tests])

    async def CheckSubject(self, request: pb.CheckSubjectRequest, context: Context) -> pb.CheckSubjectResponse:  # noqa: ARG002
        await self._opener(request.family).check(workspace(), request.subject_id)
        return pb.CheckSubjectResponse()

    def _opener(self, family: str) -> Opener:
        opener = self._openers.get(family)
        if opener is None:
            raise Invalid({"family": f"must be one of {', '.join(sorted(self._openers))}"})
        return opener
