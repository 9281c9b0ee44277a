"""Reads about executions of run tests."""

from assay.reporting.v1 import simulations_pb2 as pb, simulations_pb2_grpc
from services.reporting.convert import simulations as convert
from services.reporting.convert.paging import wanted
from services.reporting.operations.simulations import RUN_TEST_KIND, SimulationReading
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context

DEFAULT_LIMIT = 10


class SimulationReportServicer(simulations_pb2_grpc.SimulationReportServiceServicer):
    """Answers from the projection. `public_url` is the gateway's own origin, which links begin with."""

    def __init__(self, reading: SimulationReading, public_url: str) -> None:
        self._reading, self._public_url = reading, public_url.rstrip("/")

    async def ListExecutions(self, request: pb.ListExecutionsRequest, context: Context) -> pb.ListExecutionsResponse:  # noqa: ARG002 gRPC's signature
        page = wanted(
            ("page", request.page if request.HasField("page") else None),
            ("limit", request.limit if request.HasField("limit") else None),
            DEFAULT_LIMIT,
        )
        run_test_id = parse_id(request.run_test_id, RUN_TEST_KIND)
        url = f"{self._public_url}/simulate/run-tests/{run_test_id}/executions/"
        return convert.executions(url, *await self._reading.executions(workspace(), run_test_id, page))

    async def GetEvalSummary(self, request: pb.GetEvalSummaryRequest, context: Context) -> pb.GetEvalSummaryResponse:  # noqa: ARG002 the same
        run_test_id = parse_id(request.run_test_id, RUN_TEST_KIND)
        return convert.summary(await self._reading.summary(workspace(), run_test_id, convert.execution_id(request)))
