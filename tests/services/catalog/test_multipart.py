"""Multipart bodies."""

import pytest

from services.catalog import multipart
from services.catalog.entities.files import MAX_BYTES
from services.catalog.multipart import Upload
from shared.errors import Invalid, TooLarge

FORM = "multipart/form-data; boundary=edge"


def part(content: bytes, disposition: str = 'form-data; name="file"; filename="a.csv"', kind: str = "text/csv") -> bytes:
    return f"--edge\r\nContent-Disposition: {disposition}\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--edge--\r\n"


@pytest.mark.parametrize("content", [b"a", b"\r\n", b"--edge", b"\r\n--edg", bytes(range(256)) * 500])
def test_the_file_is_returned_byte_for_byte(content: bytes) -> None:
    assert multipart.read(FORM, body(part(content))) == Upload(content, "a.csv", "text/csv")


def test_other_parts_are_passed_over() -> None:
    other = part(b"x", 'form-data; name="note"')
    assert multipart.read(FORM, body(other, part(b"y"), other)).content == b"y"


@pytest.mark.parametrize("name", ["日本.csv", "😀", "µ ÀÎ", "a\x07b"])
def test_names_may_be_in_any_script(name: str) -> None:
    other = part(b"x", f'form-data; name="{name}"', f"text/{name}")
    named = part(b"y", f'form-data; name="file"; filename="{name}"')
    assert multipart.read(FORM, body(other, named)) == Upload(b"y", name, "text/csv")


def test_a_file_needs_neither_name_nor_type() -> None:
    bare = b"--edge\r\ncontent-disposition: form-data; name=file\r\n\r\ny\r\n"
    assert multipart.read('Multipart/Form-Data; boundary="edge"', body(bare)) == Upload(b"y")


@pytest.mark.parametrize(
    ("content_type", "data", "fault"),
    [
        ("text/csv", b"a,b", "multipart/form-data"),
        ("", body(part(b"a")), "multipart/form-data"),
        ("multipart/form-data; boundary=日本", body(part(b"a")), "whole"),
        ("multipart/form-data", body(part(b"a")), "multipart/form-data"),
        ("multipart/mixed; boundary=edge", body(part(b"a")), "multipart/form-data"),
        (FORM, b"", "whole"),
        (FORM, b"a,b\r\n", "whole"),
        (FORM, part(b"a"), "whole"),
        (FORM, body(part(b"a"))[:-8], "whole"),
        ("multipart/form-data; boundary=other", body(part(b"a")), "whole"),
        (FORM, body(part(b"a", 'form-data; name="files"')), "required"),
        (FORM, body(part(b"a", "form-data")), "required"),
        (FORM, body(part(b"a"), part(b"b")), "once"),
        (FORM, body(part(b"")), "empty"),
        (FORM, body(*[part(b"", 'form-data; name="x"')] * 101), "at most 100 parts"),
    ],
)
def test_what_is_no_upload_is_refused(content_type: str, data: bytes, fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        multipart.read(content_type, data)


def test_ten_megabytes_are_taken_and_one_byte_more_is_too_large() -> None:
    assert len(multipart.read(FORM, body(part(b"x" * MAX_BYTES))).content) == MAX_BYTES
    with pytest.raises(TooLarge):
        multipart.read(FORM, body(part(b"x" * (MAX_BYTES + 1))))
