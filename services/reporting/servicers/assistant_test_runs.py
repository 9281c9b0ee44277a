"""Reads about runs of assistant tests."""

from assay.reporting.v1 import assistant_test_runs_pb2 as pb, assistant_test_runs_pb2_grpc
from assay.runner.v1 import assistant_test_runs_pb2 as runner_pb
from services.reporting.convert import assistant_test_runs as convert
from services.reporting.convert.paging import wanted
from services.reporting.entities.families import Listing, test_status_filter
from services.reporting.entities.runs import ASSISTANT_TEST
from services.reporting.operations.assistant_tests import TEST, AssistantTestReading
from services.reporting.operations.learning import RUN
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.pages import PageRequest


class AssistantTestReportServicer(assistant_test_runs_pb2_grpc.AssistantTestReportServiceServicer):
    """Answers from the projection."""

    def __init__(self, reading: AssistantTestReading) -> None:
        self._reading = reading

    async def ListTestRuns(self, request: pb.ListTestRunsRequest, context: Context) -> pb.ListTestRunsResponse:  # noqa: ARG002 gRPC's signature
        page, status = _page(request), test_status_filter(request.status if request.HasField("status") else None)
        return convert.page(*await self._reading.of_test(workspace(), parse_id(request.test_id, TEST), status, page))

    async def GetTestRun(self, request: pb.GetTestRunRequest, context: Context) -> runner_pb.TestRun:  # noqa: ARG002 the same
        found = await self._reading.run(workspace(), parse_id(request.test_id, RUN), parse_id(request.run_id, RUN))
        return convert.test_run(*found)

    async def ListSuiteRuns(self, request: pb.ListSuiteRunsRequest, context: Context) -> pb.ListTestRunsResponse:  # noqa: ARG002 the same
        listing = Listing(
            ASSISTANT_TEST,
            group_key=request.suite_name,
            test_status=test_status_filter(request.status if request.HasField("status") else None),
            test_suite_run_id=convert.suite_run_id(request),
        )
        return convert.page(*await self._reading.of_suite(workspace(), listing, _page(request)))


def _page(request: pb.ListTestRunsRequest | pb.ListSuiteRunsRequest) -> PageRequest:
    return wanted(
        ("page[number]", request.page_number if request.HasField("page_number") else None),
        ("page[size]", request.page_size if request.HasField("page_size") else None),
    )
