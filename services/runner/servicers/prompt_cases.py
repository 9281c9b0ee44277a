"""PromptTestCaseRunService: generations of a prompt's test cases."""

from assay.runner.v1 import prompt_test_case_runs_pb2 as pb, prompt_test_case_runs_pb2_grpc
from services.runner.convert import prompt_cases as convert
from services.runner.operations import prompt_cases
from services.runner.servicers.runs import Parts
from shared.idempotency import key_of
from shared.identity import workspace
from shared.interceptors import Context


class PromptTestCaseRunServicer(prompt_test_case_runs_pb2_grpc.PromptTestCaseRunServiceServicer):
    """Unpack, call, pack."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def RunPromptTestCase(self, request: pb.RunPromptTestCaseRequest, context: Context) -> pb.StartedGeneration:
        parts = self._parts
        key = key_of(tuple(context.invocation_metadata() or ()), workspace(), request)
        return await prompt_cases.generate(parts.database, parts.catalog, workspace(), convert.wanted(request), (key, parts.clock()))
