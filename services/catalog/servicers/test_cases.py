"""assay.catalog.v1.TestCaseService."""

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import test_cases_pb2 as pb, test_cases_pb2_grpc
from services.catalog import csv_import
from services.catalog.convert import files, test_cases as convert
from services.catalog.operations.test_cases import TestCases
from services.catalog.servicers.answering import creation
from services.catalog.store import test_cases as store, test_sets
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class TestCaseServicer(test_cases_pb2_grpc.TestCaseServiceServicer):
    """The cases of the test sets of the caller's workspace."""

    def __init__(self, test_cases: TestCases) -> None:
        self._test_cases = test_cases

    async def ListTestCases(self, request: pb.ListTestCasesRequest, context: Context) -> pb.ListTestCasesResponse:  # noqa: ARG002
        set_id = parse_id(request.test_set_id, test_sets.KIND)
        return convert.page(await self._test_cases.page(workspace(), set_id, convert.query(request)))

    async def CreateTestCase(self, request: pb.CreateTestCaseRequest, context: Context) -> pb.TestCase:
        set_id = parse_id(request.test_set_id, test_sets.KIND)
        answering = creation(context, request, pb.TestCase, convert.message)
        made = await self._test_cases.create(workspace(), set_id, convert.content(request), answering)
        await answer_with(context, 201)
        return made

    async def UpdateTestCase(self, request: pb.UpdateTestCaseRequest, context: Context) -> pb.TestCase:  # noqa: ARG002
        set_id, case_id = parse_id(request.test_set_id, test_sets.KIND), parse_id(request.case_id, store.KIND)
        return convert.message(await self._test_cases.update(workspace(), set_id, case_id, convert.changes(request)))

    async def DeleteTestCase(self, request: pb.DeleteTestCaseRequest, context: Context) -> Empty:
        set_id, case_id = parse_id(request.test_set_id, test_sets.KIND), parse_id(request.case_id, store.KIND)
        await self._test_cases.delete(workspace(), set_id, case_id)
        await answer_with(context, 204)
        return Empty()

    async def UploadCsv(self, request: pb.UploadCsvRequest, context: Context) -> pb.UploadCsvResponse:
        set_id = parse_id(request.test_set_id, test_sets.KIND)
        content = files.upload(request.file).content
        answering = creation(context, request, pb.UploadCsvResponse, convert.imported, convert.upload_key(request, content))
        return await self._test_cases.create_from_csv(workspace(), set_id, content, answering)

    async def GetCsvTemplate(self, request: pb.GetCsvTemplateRequest, context: Context) -> HttpBody:  # noqa: ARG002
        await context.send_initial_metadata(files.download("test-cases.csv"))
        return HttpBody(content_type="text/csv", data=csv_import.template())
