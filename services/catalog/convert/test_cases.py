"""TestCase ⇄ message."""

from typing import Any

from google.protobuf.struct_pb2 import ListValue

from assay.catalog.v1 import test_cases_pb2 as pb
from services.catalog.convert import fields
from services.catalog.csv_import import Imported
from services.catalog.entities.queries import CASE_SORTS, CaseQuery, case_filter, sort_of
from services.catalog.entities.test_cases import Content, TestCase
from shared.errors import Invalid
from shared.pages import Page

TEXTS = ("file_url", "file_mime_type")
NUMBERS = ("passing_score", "order")


def content(request: pb.CreateTestCaseRequest) -> Content:
    """What is to be made."""
    said = fields.cleared(fields.given(request, (*NUMBERS, *TEXTS)), TEXTS)
    if request.HasField("test_method"):
        said["test_method"] = fields.enum_name(pb.TestCase.Method, request.test_method)
    return Content(request.question, request.expected_response, keywords=tuple(request.keywords), **said)


def changes(request: pb.UpdateTestCaseRequest) -> dict[str, Any]:
    """What is to change, by name. Raises Invalid for keywords that are no texts."""
    said = fields.cleared(fields.given(request, ("question", "expected_response", *NUMBERS, *TEXTS)), TEXTS)
    if request.HasField("test_method"):
        said["test_method"] = fields.enum_name(pb.TestCase.Method, request.test_method)
    if request.HasField("keywords"):
        said["keywords"] = _texts(request.keywords)
    return said


def _texts(values: ListValue) -> tuple[str, ...]:
    for index, value in enumerate(values.values):
        if value.WhichOneof("kind") != "string_value":
            raise Invalid({f"keywords[{index}]": "must be a text"})
    return tuple(value.string_value for value in values.values)


def query(request: pb.ListTestCasesRequest) -> CaseQuery:
    """Which page, in which order, filtered how. Raises Invalid naming each wrong parameter."""
    return CaseQuery(
        fields.wanted_page(request),
        sort_of(request.sort_by or "order", request.sort_order or "asc", CASE_SORTS),
        case_filter(request.filters),
    )


def message(case: TestCase) -> pb.TestCase:
    """As it is shown."""
    said = case.content
    return pb.TestCase(
        id=str(case.id),
        test_set_id=str(case.test_set_id),
        question=said.question,
        expected_response=said.expected_response,
        test_method=pb.TestCase.Method.Value(said.test_method),
        passing_score=said.passing_score,
        keywords=said.keywords,
        order=said.order,
        file_url=said.file_url,
        file_mime_type=said.file_mime_type,
        created_at=fields.timestamp(case.created_at),
        updated_at=fields.timestamp(case.updated_at),
    )


def upload_key(request: pb.UploadCsvRequest, content: bytes) -> bytes:
    """What tells one upload from another: the set, and the file rather than the multipart around it."""
    return f"{request.test_set_id}\0".encode() + content


def imported(found: Imported) -> pb.UploadCsvResponse:
    """What became of the rows."""
    errors = [pb.UploadCsvResponse.RowError(row=fault.row, column=fault.column, message=fault.message) for fault in found.faults]
    return pb.UploadCsvResponse(created_count=len(found.contents), error_count=found.error_count, errors=errors)


def page(found: Page[TestCase]) -> pb.ListTestCasesResponse:
    """A page of them."""
    return pb.ListTestCasesResponse(items=[message(case) for case in found.items], **fields.page_numbers(found))
