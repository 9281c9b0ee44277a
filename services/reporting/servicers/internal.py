"""What the owners of runs and of what is run tell, and ask."""

import contextlib
from collections.abc import AsyncGenerator, Iterable
from uuid import UUID

from assay.reporting.internal.v1 import reporting_pb2 as pb, reporting_pb2_grpc
from assay.runner.v1 import project_test_run_pb2 as runner_pb
from services.reporting.convert import (
    generations as convert_generations,
    project_test_runs as convert_projects,
    simulations as convert_simulations,
)
from services.reporting.operations.forgetting import Forgetting
from services.reporting.operations.generating import Generating
from services.reporting.operations.learning import RUN
from services.reporting.operations.project_test_runs import ProjectTestRunReading
from services.reporting.operations.simulations import SimulationReading
from shared.identity import workspace
from shared.ids import canonical_id, parse_id
from shared.interceptors import Context


class ReportingInternalServicer(reporting_pb2_grpc.ReportingInternalServiceServicer):
    """Hides what was deleted before its owner answers; tells the catalog what became of its run tests and prompts."""

    def __init__(
        self, forgetting: Forgetting, simulations: SimulationReading, generating: Generating, projects: ProjectTestRunReading
    ) -> None:
        self._forgetting, self._simulations, self._generating, self._projects = forgetting, simulations, generating, projects

    async def Forget(self, request: pb.ForgetRequest, context: Context) -> pb.ForgetResponse:  # noqa: ARG002 gRPC's signature
        runs = [parse_id(run_id, RUN) for run_id in request.run_ids]
        subjects = [parse_id(subject_id, "subject") for subject_id in request.subject_ids]
        await self._forgetting.forget(workspace(), runs, subjects)
        return pb.ForgetResponse()

    async def ListSettledRuns(self, request: pb.ListSettledRunsRequest, context: Context) -> pb.ListSettledRunsResponse:  # noqa: ARG002 the same
        settled = await self._forgetting.settled(workspace(), _ids(request.run_ids))
        return pb.ListSettledRunsResponse(run_ids=map(str, settled))

    async def ReadNewestRuns(self, request: pb.ReadNewestRunsRequest, context: Context) -> pb.ReadNewestRunsResponse:  # noqa: ARG002 the same
        return convert_simulations.newest(await self._simulations.newest(workspace(), _ids(request.subject_ids)))

    async def ReadProjectTestRun(self, request: pb.ReadProjectTestRunRequest, context: Context) -> runner_pb.ProjectTestRun:  # noqa: ARG002 the same
        found = await self._projects.run(workspace(), parse_id(request.project_id, RUN), parse_id(request.test_run_id, RUN))
        return convert_projects.test_run(found.run, found.found, found.executed_cases)

    async def ListGenerations(self, request: pb.ListGenerationsRequest, context: Context) -> AsyncGenerator[pb.GenerationBatch, None]:  # noqa: ARG002 the same
        prompt_id = parse_id(request.prompt_id, "prompt")
        told = self._generating.generations(workspace(), prompt_id, [parse_id(one, "prompt version") for one in request.version_ids])
        async with contextlib.aclosing(told) as parts:
            async for part in parts:
                for batch in convert_generations.batches(part):
                    yield batch


def _ids(texts: Iterable[str]) -> list[UUID]:
    """Those that are ids: the others name nothing."""
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            found.append(canonical_id(text))
    return found
