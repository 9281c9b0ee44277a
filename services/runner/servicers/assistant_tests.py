"""AssistantTestRunService: runs of assistant tests."""

from collections.abc import AsyncIterator

from google.protobuf.message import Message

from assay.runner.v1 import assistant_test_runs_pb2 as pb, assistant_test_runs_pb2_grpc
from services.runner.operations import assistant_tests as operations
from services.runner.operations.assistant_tests import API, MANUAL, Trigger
from services.runner.servicers.runs import Parts
from shared.idempotency import key_of
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class AssistantTestRunServicer(assistant_test_runs_pb2_grpc.AssistantTestRunServiceServicer):
    """Unpack, call, pack."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def TriggerTestRun(self, request: pb.TriggerTestRunRequest, context: Context) -> pb.TestRun:
        test_id = parse_id(request.test_id, "assistant test")
        said = self._trigger(request, request.options, context, MANUAL)
        run = await operations.trigger(self._parts.database, self._parts.catalog, test_id, said)
        await answer_with(context, 201)
        return run

    async def TriggerSuiteRuns(self, request: pb.TriggerSuiteRunsRequest, context: Context) -> AsyncIterator[pb.TestRun]:
        said = self._trigger(request, request.options, context, API)
        started = await operations.trigger_suite(self._parts.database, self._parts.catalog, request.suite_name, said)
        await answer_with(context, 201)
        for run in started.runs:
            yield run

    def _trigger(self, request: Message, options: pb.TestRunOptions, context: Context, by: str) -> Trigger:
        key = key_of(tuple(context.invocation_metadata() or ()), workspace(), request)
        return Trigger(workspace(), options, key, self._parts.clock(), by)
