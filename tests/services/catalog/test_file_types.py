"""Types of files, told by their bytes."""

import io
import zipfile

import pytest

from services.catalog.file_types import EXTENSIONS, OFFICE, mime_type
from services.catalog.multipart import Upload


def a_zip(*members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for member in members:
            archive.writestr(member, "<x/>")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"GIF87a....", "image/gif"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"ID3\x04\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64....", "audio/mpeg"),
        (b"\xff\xf3\x40\xc0....", "audio/mpeg"),
        (a_zip("[Content_Types].xml", "word/document.xml"), f"{OFFICE}.wordprocessingml.document"),
        (a_zip("[Content_Types].xml", "xl/workbook.xml"), f"{OFFICE}.spreadsheetml.sheet"),
        (b"hello", "text/plain"),
        (b"\xef\xbb\xbfhello\r\n\tthere\n", "text/plain"),
        ("Grüße, 世界".encode(), "text/plain"),
        (b'{"a": [1]}', "application/json"),
        (b"\n[1, 2]\n", "application/json"),
        (b"{not json", "text/plain"),
        (b"42", "text/plain"),
        (b"[" * 5000, "text/plain"),
        (b"a < b and <b>bold</b>", "text/plain"),
        (b"<!-- a note -->\nplain", "text/plain"),
    ],
)
def test_what_is_allowed_is_known_by_its_content(content: bytes, expected: str) -> None:
    assert mime_type(Upload(content, "name.exe", "application/x-anything")) == expected
    assert expected in EXTENSIONS


@pytest.mark.parametrize(
    "content",
    [
        b"\x7fELF\x02\x01",
        b"MZ\x90\0",
        b"\0\0\0\0",
        b"text with \0",
        b"\x1b[31mred",
        b"\xff\xfeh\0i\0",
        b"caf\xe9",
        b"RIFF\x10\0\0\0AVI ",
        b"RIFF",
        b"PK\x03\x04 broken",
        a_zip("evil.txt"),
        a_zip("word/document.xml"),
        a_zip("[Content_Types].xml", "ppt/presentation.xml"),
        b"\xff\xe0\0\0",
        b"\xff\xfb",
        b"<!DOCTYPE html><p>",
        b"  \n<html lang=en>",
        b"\xef\xbb\xbf<HTML>",
        b"<!-- x --><!-- y -->\n<html>",
        b"<script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?>\n<!-- drawn -->\n<!DOCTYPE svg PUBLIC ''>\n<svg/>",
        b"<body>",
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    assert mime_type(Upload(content, "a.png", "image/png")) is None


@pytest.mark.parametrize(
    ("filename", "content_type", "content", "expected"),
    [
        ("a.csv", "", b"a,b\n1,2\n", "text/csv"),
        ("A.CSV", "", b"a,b\n1,2\n", "text/csv"),
        ("a", "text/csv", b"a,b\n1,2\n", "text/csv"),
        ("a.txt", "text/plain", b"a,b\n1,2\n", "text/plain"),
        ("a.csv", "", b'a,"b\n', "text/plain"),
        ("a.csv", "", b"\n", "text/plain"),
        ("a.csv", "text/csv", b'{"a": 1}', "application/json"),
        ("a.csv", "text/csv", b"<html>", None),
    ],
)
def test_csv_is_told_from_text_by_what_the_sender_says(filename: str, content_type: str, content: bytes, expected: str | None) -> None:
    assert mime_type(Upload(content, filename, content_type)) == expected


def test_many_comments_take_no_time() -> None:
    assert mime_type(Upload(b"<!---->" * 100_000)) == "text/plain"
