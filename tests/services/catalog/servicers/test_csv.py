"""UploadCsv and GetCsvTemplate."""

import asyncio

import pytest
from google.api.httpbody_pb2 import HttpBody

from assay.catalog.v1 import test_cases_pb2 as pb
from shared.ids import new_id
from tests.services.catalog.house import House, invalid, not_found, trailers
from tests.services.catalog.servicers.test_internal import questions
from tests.services.catalog.test_multipart import FORM, body, part

HEAD = b"question,expected_response,test_method,passing_score,keywords,order\n"


def upload(set_id: str, content: bytes) -> pb.UploadCsvRequest:
    return pb.UploadCsvRequest(test_set_id=set_id, file=HttpBody(content_type=FORM, data=body(part(content))))


async def uploaded(house: House, set_id: str, content: bytes) -> pb.UploadCsvResponse:
    answer: pb.UploadCsvResponse = await house.cases.UploadCsv(upload(set_id, content), metadata=house.us.metadata)
    return answer


async def test_good_rows_are_created_although_others_fail(house: House) -> None:
    set_id = (await house.a_set()).id
    answer = await uploaded(house, set_id, HEAD + b"q1,e1,exact_match,0.5,a;b,3\n,e2,fuzzy,,,\nq3,e3\n")
    assert (answer.created_count, answer.error_count) == (2, 1)
    assert [(error.row, error.column) for error in answer.errors] == [(3, "question"), (3, "test_method")]
    assert (await house.set_as_it_is(set_id)).test_case_count == 2
    listed = await house.cases.ListTestCases(pb.ListTestCasesRequest(test_set_id=set_id), metadata=house.us.metadata)
    first = listed.items[1]
    assert (first.question, first.test_method, first.passing_score, list(first.keywords), first.order) == ("q1", 1, 0.5, ["a", "b"], 3)


async def test_a_fault_of_a_whole_row_names_no_column(house: House) -> None:
    answer = await uploaded(house, (await house.a_set()).id, b"question,expected_response\na,b,c\n")
    assert not answer.errors[0].HasField("column")


async def test_rows_keep_their_order_and_are_one_revision(house: House) -> None:
    set_id = (await house.a_set()).id
    rows = [f"q{number}" for number in range(1200)]
    await uploaded(house, set_id, HEAD + "".join(f"{row},e\n" for row in rows).encode())
    assert await questions(house, set_id, 1) == rows
    assert await questions(house, set_id, 0) == []


async def test_a_header_alone_creates_nothing(house: House) -> None:
    set_id = (await house.a_set()).id
    assert await uploaded(house, set_id, HEAD) == pb.UploadCsvResponse()


@pytest.mark.parametrize("content", [b"a,b\n", HEAD + b"\xff\n", b"\n", HEAD + b"a,b\n" * 10_001])
async def test_a_file_that_cannot_be_read_creates_nothing(house: House, content: bytes) -> None:
    set_id = (await house.a_set()).id
    with invalid("file: "):
        await uploaded(house, set_id, content)
    assert (await house.set_as_it_is(set_id)).test_case_count == 0


async def test_a_body_that_is_no_multipart_is_refused(house: House) -> None:
    request = pb.UploadCsvRequest(test_set_id=(await house.a_set()).id, file=HttpBody(content_type="text/csv", data=HEAD))
    with invalid("file: must be sent as multipart/form-data"):
        await house.cases.UploadCsv(request, metadata=house.us.metadata)


async def test_over_ten_megabytes_is_413(house: House) -> None:
    call = house.cases.UploadCsv(upload((await house.a_set()).id, b"x" * (10 * 1024 * 1024 + 1)), metadata=house.us.metadata)
    assert (await trailers(call))["x-http-code"] == "413"


async def test_an_unknown_set_is_not_found(house: House) -> None:
    for unknown in ("none", str(new_id()), (await house.a_set(house.them)).id):
        with not_found("test set"):
            await uploaded(house, unknown, HEAD + b"a,b\n")


async def test_the_same_key_and_file_creates_once(house: House) -> None:
    set_id = (await house.a_set()).id
    request, metadata = upload(set_id, HEAD + b"a,b\n,c\n"), house.us.with_key("csv-1")
    # Another boundary is another body, but the same file.
    other = pb.UploadCsvRequest(
        test_set_id=set_id, file=HttpBody(content_type=FORM.replace("edge", "rim"), data=request.file.data.replace(b"edge", b"rim"))
    )
    answers = await asyncio.gather(*(house.cases.UploadCsv(each, metadata=metadata) for each in (request, other, request)))
    assert answers[0] == answers[1] == answers[2]
    assert (await house.set_as_it_is(set_id)).test_case_count == 1


async def test_the_same_key_and_file_for_another_set_is_another_request(house: House) -> None:
    first, second = await house.a_set(), await house.a_set()
    metadata = house.us.with_key("csv-2")
    await house.cases.UploadCsv(upload(first.id, HEAD + b"a,b\n"), metadata=metadata)
    call = house.cases.UploadCsv(upload(second.id, HEAD + b"a,b\n"), metadata=metadata)
    assert "grpc-status-details-bin" in await trailers(call)


async def test_the_template_is_an_attachment_that_imports_cleanly(house: House) -> None:
    call = house.cases.GetCsvTemplate(pb.GetCsvTemplateRequest(), metadata=house.us.metadata)
    template = await call
    headers = dict(await call.initial_metadata())
    assert (template.content_type, headers["content-disposition"]) == ("text/csv", 'attachment; filename="test-cases.csv"')
    assert template.data.startswith(HEAD.strip())
    answer = await uploaded(house, (await house.a_set()).id, template.data)
    assert (answer.created_count, answer.error_count) == (2, 0)


async def test_ten_thousand_rows_are_imported_and_streamed(house: House) -> None:
    set_id = (await house.a_set()).id
    content = HEAD + b"".join(
        b"What is the answer number %d?,It is %d,keyword_match,0.5,a;b,%d\n" % (row, row, row) for row in range(10_000)
    )
    assert (await uploaded(house, set_id, content)).created_count == 10_000
    assert len(await questions(house, set_id, 1)) == 10_000
