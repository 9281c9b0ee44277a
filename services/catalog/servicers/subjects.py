"""assay.catalog.internal.v1.SubjectInternalService: what a run executes, family by family."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol, TypeVar
from uuid import UUID

from assay.catalog.internal.v1 import subjects_pb2 as pb, subjects_pb2_grpc
from shared.errors import Invalid
from shared.identity import workspace
from shared.interceptors import Context

Known = TypeVar("Known")


class Checked(Protocol):
    """What runs are listed by."""

    async def check(self, workspace_id: UUID, subject_id: str) -> None:
        """Raises NotFound if the workspace has no such subject."""


class Opener(Checked, Protocol):
    """How the subjects of one family are opened."""

    def open(self, workspace_id: UUID, request: pb.OpenSubjectRequest) -> AsyncIterator[pb.SubjectPart]:
        """The subject, then its cases, all of one moment. Raises NotFound, Invalid."""


class Suites(Protocol):
    """Which assistant tests belong together."""

    async def tests(self, workspace_id: UUID, suite: str) -> list[UUID]:
        """In order of creation. Raises NotFound for a suite without tests."""


class SubjectInternalServicer(subjects_pb2_grpc.SubjectInternalServiceServicer):
    """`openers` by family; `listed` are families that runs are only listed by, and that none executes."""

    def __init__(self, openers: Mapping[str, Opener], listed: Mapping[str, Checked], suites: Suites) -> None:
        self._openers, self._listed, self._suites = openers, listed, suites

    async def OpenSubject(self, request: pb.OpenSubjectRequest, context: Context) -> AsyncIterator[pb.SubjectPart]:  # noqa: ARG002
        if request.family in self._listed:
            raise Invalid({"family": "can't be executed"})
        async for part in _of_family(self._openers, request.family).open(workspace(), request):
            yield part

    async def ReadSuite(self, request: pb.ReadSuiteRequest, context: Context) -> pb.ReadSuiteResponse:  # noqa: ARG002
        tests = await self._suites.tests(workspace(), request.suite)
        return pb.ReadSuiteResponse(test_ids=[str(test) for test in tests])

    async def CheckSubject(self, request: pb.CheckSubjectRequest, context: Context) -> pb.CheckSubjectResponse:  # noqa: ARG002
        await _of_family({**self._listed, **self._openers}, request.family).check(workspace(), request.subject_id)
        return pb.CheckSubjectResponse()


def _of_family(known: Mapping[str, Known], family: str) -> Known:
    found = known.get(family)
    if found is None:
        raise Invalid({"family": f"must be one of {', '.join(sorted(known))}"})
    return found
