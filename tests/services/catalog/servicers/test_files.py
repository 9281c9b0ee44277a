"""assay.catalog.v1.FileService."""

import hashlib

import pytest
from google.api.httpbody_pb2 import HttpBody

from assay.catalog.v1 import files_pb2 as pb
from shared.ids import new_id
from tests.services.catalog.house import PUBLIC_URL, House, Metadata, invalid, not_found, trailers
from tests.services.catalog.test_multipart import FORM, body, part

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def upload(content: bytes, filename: str = "a.png") -> pb.UploadFileRequest:
    sent = part(content, f'form-data; name="file"; filename="{filename}"', "application/octet-stream")
    return pb.UploadFileRequest(file=HttpBody(content_type=FORM, data=body(sent)))


async def uploaded(house: House, request: pb.UploadFileRequest, metadata: Metadata | None = None) -> pb.UploadFileResponse:
    answer: pb.UploadFileResponse = await house.files.UploadFile(request, metadata=metadata or house.us.metadata)
    return answer


def id_in(answer: pb.UploadFileResponse) -> str:
    return answer.file_url.rpartition("/")[2]


async def test_a_file_is_kept_and_returned_as_an_attachment(house: House) -> None:
    answer = await uploaded(house, upload(PNG))
    assert answer.file_url.startswith(f"{PUBLIC_URL}/v1/evaluation/files/")
    assert (answer.file_mime_type, answer.size_bytes, answer.sha256) == ("image/png", len(PNG), hashlib.sha256(PNG).hexdigest())
    call = house.files.GetFile(pb.GetFileRequest(file_id=id_in(answer)), metadata=house.us.metadata)
    assert await call == HttpBody(content_type="image/png", data=PNG)
    headers = dict(await call.initial_metadata())
    assert headers["content-disposition"] == f'attachment; filename="{id_in(answer)}.png"'
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_same_content_is_the_same_file_in_one_workspace_alone(house: House) -> None:
    first, again = await uploaded(house, upload(PNG)), await uploaded(house, upload(PNG, "other.png"))
    theirs = await uploaded(house, upload(PNG), house.them.metadata)
    assert first == again
    assert id_in(theirs) != id_in(first)
    async with house.database.connection() as sql:
        assert await sql.fetchval("SELECT count(*) FROM blobs WHERE sha256 = $1", hashlib.sha256(PNG).digest()) == 1


async def test_csv_is_told_by_its_name(house: House) -> None:
    types = [(await uploaded(house, upload(b"a,b\n1,2\n", name))).file_mime_type for name in ("a.csv", "a.txt")]
    assert types == ["text/csv", "text/plain"]


@pytest.mark.parametrize("content", [b"<svg/>", b"<!doctype html>", b"\x7fELF", b"\0", b""])
async def test_what_is_not_allowed_is_refused(house: House, content: bytes) -> None:
    with invalid("file: must"):
        await uploaded(house, upload(content))


async def test_ten_megabytes_are_taken_and_one_byte_more_is_413(house: House) -> None:
    answer = await uploaded(house, upload(b"x" * (10 << 20)))
    file = await house.files.GetFile(pb.GetFileRequest(file_id=id_in(answer)), metadata=house.us.metadata)
    assert len(file.data) == answer.size_bytes == 10 << 20
    call = house.files.UploadFile(upload(b"x" * ((10 << 20) + 1)), metadata=house.us.metadata)
    assert (await trailers(call))["x-http-code"] == "413"


async def test_an_unknown_file_is_not_found(house: House) -> None:
    theirs = await uploaded(house, upload(PNG), house.them.metadata)
    for unknown in ("none", str(new_id()), id_in(theirs)):
        with not_found("file"):
            await house.files.GetFile(pb.GetFileRequest(file_id=unknown), metadata=house.us.metadata)


async def test_a_key_is_bound_to_the_file(house: House) -> None:
    metadata = house.us.with_key("file-1")
    assert await uploaded(house, upload(PNG), metadata) == await uploaded(house, upload(PNG, "b.png"), metadata)
    assert "grpc-status-details-bin" in await trailers(house.files.UploadFile(upload(b"other"), metadata=metadata))
