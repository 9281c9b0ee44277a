"""Reads about test runs of projects."""

from assay.reporting.v1 import project_test_runs_pb2 as pb, project_test_runs_pb2_grpc
from assay.runner.v1 import project_test_run_pb2 as runner_pb
from services.reporting.convert import project_test_runs as convert
from services.reporting.convert.paging import wanted
from services.reporting.operations.learning import RUN
from services.reporting.operations.project_test_runs import PROJECT, ProjectTestRunReading
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.pages import MAX_SIZE


class ProjectTestRunReportServicer(project_test_runs_pb2_grpc.ProjectTestRunReportServiceServicer):
    """Answers from the projection."""

    def __init__(self, reading: ProjectTestRunReading) -> None:
        self._reading = reading

    async def ListProjectTestRuns(self, request: pb.ListProjectTestRunsRequest, context: Context) -> pb.ListProjectTestRunsResponse:  # noqa: ARG002 gRPC's signature
        page = wanted(
            ("page", request.page if request.HasField("page") else None),
            ("page_size", request.page_size if request.HasField("page_size") else None),
            MAX_SIZE,
        )
        found = await self._reading.of_project(workspace(), parse_id(request.project_id, PROJECT), page)
        return convert.test_runs([convert.test_run(one.run, one.found, one.executed_cases) for one in found])

    async def GetProjectTestRun(self, request: pb.GetProjectTestRunRequest, context: Context) -> runner_pb.ProjectTestRun:  # noqa: ARG002 the same
        found = await self._reading.run(workspace(), parse_id(request.project_id, RUN), parse_id(request.test_run_id, RUN))
        return convert.test_run(found.run, found.found, found.executed_cases)
