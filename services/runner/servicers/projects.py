"""ProjectTestRunService: runs that the client drives."""

from assay.runner.v1 import project_test_runs_pb2 as pb, project_test_runs_pb2_grpc
from assay.runner.v1.project_test_run_pb2 import ProjectTestRun
from services.runner.convert import projects as convert
from services.runner.operations import projects
from services.runner.operations.recording import Recorder
from services.runner.servicers.runs import Parts
from shared.idempotency import key_of
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class ProjectTestRunServicer(project_test_runs_pb2_grpc.ProjectTestRunServiceServicer):
    """Unpack, call, pack."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._recorder = parts, Recorder(parts.database)

    async def CreateProjectTestRun(self, request: pb.CreateProjectTestRunRequest, context: Context) -> pb.CreatedTestRun:
        parts = self._parts
        key = key_of(tuple(context.invocation_metadata() or ()), workspace(), request)
        await projects.check_project(parts.catalog, workspace(), request.project_id)
        made = await projects.create(parts.database, parts.catalog, workspace(), convert.wanted(request), (key, parts.clock()))
        await answer_with(context, 201)
        return made

    async def RecordCompletion(self, request: pb.RecordCompletionRequest, context: Context) -> pb.RecordedCompletion:
        parts = self._parts
        case, said = convert.recorded_case(request), convert.completion(request)
        await projects.record(self._recorder, parts.catalog, workspace(), request.project_id, case, said)
        await answer_with(context, 201)
        return pb.RecordedCompletion(completion_id=convert.completion_id(request))

    async def RecordTrace(self, request: pb.RecordTraceRequest, context: Context) -> pb.RecordedTrace:
        parts = self._parts
        case, said = convert.recorded_case(request), convert.trace(request)
        await projects.record(self._recorder, parts.catalog, workspace(), request.project_id, case, said)
        await answer_with(context, 201)
        return pb.RecordedTrace(trace_id=request.trace_id)

    async def CloseProjectTestRun(self, request: pb.CloseProjectTestRunRequest, context: Context) -> ProjectTestRun:  # noqa: ARG002 gRPC's signature
        parts, run_id = self._parts, parse_id(request.test_run_id, "run")
        await projects.close(parts.database, parts.catalog, workspace(), request.project_id, run_id)
        return await projects.completed(parts.reporting, workspace(), request.project_id, run_id)
