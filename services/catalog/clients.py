"""The other services, as far as the catalog asks them for anything."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import grpc

from assay.catalog.internal.v1.parts_pb2 import Evaluator
from assay.reporting.internal.v1.reporting_pb2 import ForgetRequest, Generation, ListGenerationsRequest, ReadNewestRunsRequest
from assay.runner.internal.v1.runner_pb2 import ForgetSubjectRequest
from assay.scoring.internal.v1.templates_pb2 import CheckEvaluatorsRequest, CheckEvaluatorsResponse, ListTemplatesRequest
from shared.channels import ServiceIdentity

if TYPE_CHECKING:  # the async variants exist in the typed stubs only
    from assay.reporting.internal.v1.reporting_pb2_grpc import ReportingInternalServiceAsyncStub
    from assay.runner.internal.v1.runner_pb2_grpc import RunnerInternalServiceAsyncStub
    from assay.scoring.internal.v1.templates_pb2_grpc import TemplateInternalServiceAsyncStub

FORGET_SECONDS = 1.0
STREAM_SECONDS = 60.0
CHECK_SECONDS = 10.0
READ_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Peers:
    """The owners of runs, of what is read of them, and of the templates that judge."""

    runner: "RunnerInternalServiceAsyncStub"
    reporting: "ReportingInternalServiceAsyncStub"
    templates: "TemplateInternalServiceAsyncStub"
    identity: ServiceIdentity

    async def forget_subject(self, workspace: UUID, subject_id: UUID) -> None:
        """Has the runs of something deleted vanish at once, as far as the others can be reached within a second.

        Never raises: the event that was written with the deletion is the net.
        """
        metadata = self.identity.metadata(workspace)
        runner = self.runner.ForgetSubject(ForgetSubjectRequest(subject_id=str(subject_id)), metadata=metadata, timeout=FORGET_SECONDS)
        reporting = self.reporting.Forget(ForgetRequest(subject_ids=[str(subject_id)]), metadata=metadata, timeout=FORGET_SECONDS)
        await asyncio.gather(_tried("runner", runner), _tried("reporting", reporting))

    async def check_evaluators(self, workspace: UUID, evaluators: Sequence[Evaluator]) -> CheckEvaluatorsResponse:
        """What the registry of templates finds wrong with these, and the template of each."""
        request = CheckEvaluatorsRequest(evaluators=evaluators)
        return await self.templates.CheckEvaluators(request, metadata=self.identity.metadata(workspace), timeout=CHECK_SECONDS)

    async def template_ids(self, workspace: UUID) -> dict[str, str]:
        """The id of each template, by its name."""
        found = await self.templates.ListTemplates(
            ListTemplatesRequest(), metadata=self.identity.metadata(workspace), timeout=CHECK_SECONDS
        )
        return {template.name: template.id for template in found.templates}

    async def newest_statuses(self, workspace: UUID, subject_ids: Sequence[UUID]) -> dict[UUID, str]:
        """The status of the newest run of each subject that has one, in the words of family B."""
        request = ReadNewestRunsRequest(subject_ids=[str(subject_id) for subject_id in subject_ids])
        found = await self.reporting.ReadNewestRuns(request, metadata=self.identity.metadata(workspace), timeout=READ_SECONDS)
        return {UUID(run.subject_id): run.status for run in found.runs}

    async def generations(self, workspace: UUID, prompt_id: UUID, version_ids: Sequence[str]) -> AsyncIterator[Generation]:
        """What versions of a prompt, all of them if none is named, made of its test cases, oldest first."""
        request = ListGenerationsRequest(prompt_id=str(prompt_id), version_ids=version_ids)
        async for batch in self.reporting.ListGenerations(request, metadata=self.identity.metadata(workspace), timeout=STREAM_SECONDS):
            for generation in batch.generations:
                yield generation


async def _tried(peer: str, call: Awaitable[object]) -> None:
    try:
        await call
    except grpc.aio.AioRpcError as fault:
        log.warning("what was deleted will be forgotten by its event", extra={"peer": peer, "fault": str(fault.code())})
