"""assay.catalog.v1.AssistantTestService."""

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import assistant_tests_pb2 as pb, assistant_tests_pb2_grpc
from services.catalog.convert import assistant_tests as convert
from services.catalog.convert.assistants import wanted_page
from services.catalog.operations.assistant_tests import AssistantTests
from services.catalog.servicers.answering import creation
from services.catalog.store import assistant_tests as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class AssistantTestServicer(assistant_tests_pb2_grpc.AssistantTestServiceServicer):
    """Assistant tests of the caller's workspace, and their suites."""

    def __init__(self, tests: AssistantTests) -> None:
        self._tests, self._database = tests, tests.database

    async def CreateAssistantTest(self, request: pb.CreateAssistantTestRequest, context: Context) -> pb.AssistantTest:
        answering = creation(context, request, pb.AssistantTest, convert.message)
        made = await self._tests.create(workspace(), convert.plan(request), answering)
        await answer_with(context, 201)
        return made

    async def ListAssistantTests(self, request: pb.ListAssistantTestsRequest, context: Context) -> pb.ListAssistantTestsResponse:  # noqa: ARG002
        wanted, asked = convert.wanted(request), wanted_page(request)
        async with self._database.connection() as sql:
            return convert.page(await store.page(sql, workspace(), wanted, asked))

    async def GetAssistantTest(self, request: pb.GetAssistantTestRequest, context: Context) -> pb.AssistantTest:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.test_id, store.KIND)))

    async def UpdateAssistantTest(self, request: pb.UpdateAssistantTestRequest, context: Context) -> pb.AssistantTest:  # noqa: ARG002
        test_id = parse_id(request.test_id, store.KIND)
        return convert.message(await self._tests.update(workspace(), test_id, convert.changes(request)))

    async def DeleteAssistantTest(self, request: pb.DeleteAssistantTestRequest, context: Context) -> Empty:
        await self._tests.delete(workspace(), parse_id(request.test_id, store.KIND))
        await answer_with(context, 204)
        return Empty()

    async def ListTestSuites(self, request: pb.ListTestSuitesRequest, context: Context) -> pb.ListTestSuitesResponse:  # noqa: ARG002
        async with self._database.connection() as sql:
            return pb.ListTestSuitesResponse(data=await store.suite_names(sql, workspace()))

    async def UpdateTestSuite(self, request: pb.UpdateTestSuiteRequest, context: Context) -> pb.TestSuite:  # noqa: ARG002
        return convert.suite(await self._tests.schedule_suite(workspace(), request.suite_name, convert.schedule(request)))
