"""assay.catalog.v1.RunTestService."""

from urllib.parse import unquote

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import run_tests_pb2 as pb, run_tests_pb2_grpc
from services.catalog.convert import numbered_pages, run_tests as convert
from services.catalog.operations.run_tests import RunTests
from services.catalog.servicers.answering import creation
from services.catalog.store import run_tests as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class RunTestServicer(run_tests_pb2_grpc.RunTestServiceServicer):
    """Run tests of the caller's workspace."""

    def __init__(self, run_tests: RunTests, public_url: str) -> None:
        self._run_tests, self._database = run_tests, run_tests.database
        self._url = f"{public_url}/simulate/run-tests/"

    async def CreateRunTest(self, request: pb.CreateRunTestRequest, context: Context) -> pb.RunTest:
        answering = creation(context, request, pb.RunTest, convert.message)
        made = await self._run_tests.create(workspace(), convert.wish(request), answering)
        await answer_with(context, 201)
        return made

    async def ListRunTests(self, request: pb.ListRunTestsRequest, context: Context) -> pb.ListRunTestsResponse:  # noqa: ARG002
        found = await self._run_tests.page(workspace(), numbered_pages.wanted(request), request.search)
        envelope = numbered_pages.envelope(found, request, self._url)
        return pb.ListRunTestsResponse(results=[convert.message(one) for one in found.items], **envelope)

    async def GetRunTest(self, request: pb.GetRunTestRequest, context: Context) -> pb.RunTest:  # noqa: ARG002
        return convert.message(await self._run_tests.get(workspace(), parse_id(request.run_test_id, store.KIND)))

    async def GetRunTestIdByName(
        self,
        request: pb.GetRunTestIdByNameRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetRunTestIdByNameResponse:
        # The gateway leaves reserved characters of a path as they came: "50%" may be in a name, "%26" stands for "&".
        async with self._database.connection() as sql:
            return convert.by_name(*await store.named(sql, workspace(), [request.name, unquote(request.name)]))

    async def UpdateRunTest(self, request: pb.UpdateRunTestRequest, context: Context) -> pb.RunTest:  # noqa: ARG002
        run_test_id = parse_id(request.run_test_id, store.KIND)
        return convert.message(await self._run_tests.update(workspace(), run_test_id, convert.changes(request)))

    async def CreateEvalConfigs(self, request: pb.CreateEvalConfigsRequest, context: Context) -> pb.CreateEvalConfigsResponse:
        answering = creation(context, request, pb.CreateEvalConfigsResponse, convert.created_configs)
        run_test_id, rules = parse_id(request.run_test_id, store.KIND), convert.rules(request.evaluations_config)
        made = await self._run_tests.add_evaluators(workspace(), run_test_id, rules, answering)
        await answer_with(context, 201)
        return made

    async def DeleteRunTest(self, request: pb.DeleteRunTestRequest, context: Context) -> Empty:
        await self._run_tests.delete(workspace(), parse_id(request.run_test_id, store.KIND))
        await answer_with(context, 204)
        return Empty()
