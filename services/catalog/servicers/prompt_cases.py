"""assay.catalog.v1.PromptTestCaseService."""

from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Value

from assay.catalog.v1 import prompt_test_cases_pb2 as pb, prompt_test_cases_pb2_grpc
from services.catalog.convert import prompt_cases as convert
from services.catalog.operations.prompt_cases import PromptCases
from services.catalog.servicers.answering import creation
from services.catalog.store import prompt_cases as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class PromptTestCaseServicer(prompt_test_cases_pb2_grpc.PromptTestCaseServiceServicer):
    """Test cases of the prompts of the caller's workspace."""

    def __init__(self, cases: PromptCases) -> None:
        self._cases = cases

    async def ListPromptTestCases(
        self,
        request: pb.ListPromptTestCasesRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.PromptTestCase]:
        async for case, generations in self._cases.matching(workspace(), convert.wanted(request)):
            yield convert.message(case, generations)

    async def CreatePromptTestCases(self, request: pb.CreatePromptTestCasesRequest, context: Context) -> Value:
        said = convert.new_cases(request.test_cases)
        made = await self._cases.create(workspace(), said, creation(context, request, Value, convert.packer(request.test_cases)))
        await answer_with(context, 201)
        return made

    async def GetPromptTestCase(self, request: pb.GetPromptTestCaseRequest, context: Context) -> pb.PromptTestCase:  # noqa: ARG002
        async with self._cases.database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.test_case_id, store.KIND)))

    async def UpdatePromptTestCase(self, request: pb.UpdatePromptTestCaseRequest, context: Context) -> pb.PromptTestCase:  # noqa: ARG002
        case_id = parse_id(request.test_case_id, store.KIND)
        return convert.message(await self._cases.update(workspace(), case_id, convert.changes(request)))

    async def DeletePromptTestCase(self, request: pb.DeletePromptTestCaseRequest, context: Context) -> Empty:
        await self._cases.delete(workspace(), parse_id(request.test_case_id, store.KIND))
        await answer_with(context, 204)
        return Empty()
