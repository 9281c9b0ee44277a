"""RunTestExecutionService: executions of run tests."""

from assay.runner.v1 import run_test_executions_pb2 as pb, run_test_executions_pb2_grpc
from services.runner.operations import run_tests as operations
from services.runner.operations.run_tests import Execution
from services.runner.servicers.runs import Parts
from shared.idempotency import key_of
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context


class RunTestExecutionServicer(run_test_executions_pb2_grpc.RunTestExecutionServiceServicer):
    """Unpack, call, pack."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def ExecuteRunTest(self, request: pb.ExecuteRunTestRequest, context: Context) -> pb.ExecuteRunTestResponse:
        parts = self._parts
        key = key_of(tuple(context.invocation_metadata() or ()), workspace(), request)
        run_test_id = parse_id(request.run_test_id, "run test")
        asked = Execution(workspace(), run_test_id, tuple(request.scenario_ids), key, parts.clock())
        return await operations.execute(parts.database, parts.catalog, asked)
