"""assay.catalog.v1.TestSetService."""

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import test_sets_pb2 as pb, test_sets_pb2_grpc
from services.catalog.convert import fields, test_sets as convert
from services.catalog.operations.test_sets import TestSets
from services.catalog.servicers.answering import creation
from services.catalog.store import test_sets as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class TestSetServicer(test_sets_pb2_grpc.TestSetServiceServicer):
    """Test sets of the caller's workspace."""

    def __init__(self, test_sets: TestSets) -> None:
        self._test_sets, self._database = test_sets, test_sets.database

    async def ListTestSets(self, request: pb.ListTestSetsRequest, context: Context) -> pb.ListTestSetsResponse:  # noqa: ARG002
        context_id, wanted = fields.body_id("context_id", request.context_id), convert.query(request)
        async with self._database.connection() as sql:
            return convert.page(await store.page(sql, workspace(), context_id, wanted))

    async def CreateTestSet(self, request: pb.CreateTestSetRequest, context: Context) -> pb.TestSet:
        answering = creation(context, request, pb.TestSet, convert.message)
        made = await self._test_sets.create(workspace(), convert.outline(request), answering)
        await answer_with(context, 201)
        return made

    async def GetTestSet(self, request: pb.GetTestSetRequest, context: Context) -> pb.TestSet:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.test_set_id, store.KIND)))

    async def UpdateTestSet(self, request: pb.UpdateTestSetRequest, context: Context) -> pb.TestSet:  # noqa: ARG002
        set_id = parse_id(request.test_set_id, store.KIND)
        return convert.message(await self._test_sets.update(workspace(), set_id, convert.changes(request)))

    async def DeleteTestSet(self, request: pb.DeleteTestSetRequest, context: Context) -> Empty:
        await self._test_sets.delete(workspace(), parse_id(request.test_set_id, store.KIND))
        await answer_with(context, 204)
        return Empty()
