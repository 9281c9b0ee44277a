"""Which type a file is, told by its bytes, against a list of what is allowed."""

import io
import re
import zipfile
from collections.abc import Mapping

import orjson

from services.catalog import csv_import
from services.catalog.multipart import Upload

OFFICE = "application/vnd.openxmlformats-officedocument"
EXTENSIONS: Mapping[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/csv": "csv",
    "application/json": "json",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    f"{OFFICE}.wordprocessingml.document": "docx",
    f"{OFFICE}.spreadsheetml.sheet": "xlsx",
}
STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
)
RIFF: Mapping[bytes, str] = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
OFFICE_MEMBERS: Mapping[str, str] = {
    "word/document.xml": f"{OFFICE}.wordprocessingml.document",
    "xl/workbook.xml": f"{OFFICE}.spreadsheetml.sheet",
}
ZIP = b"PK\x03\x04"
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# What browsers and viewers would take for a page or a drawing, behind a prologue and comments.
# Atomic, so that a thousand comments aren't divided among themselves in every possible way.
MARKUP = re.compile(
    r"(?>\s*(?:<\?xml.*?\?>|<!--.*?-->|<!doctype\s+svg.*?>))*+\s*<(?:!doctype\s+html|(?:html|head|body|script|iframe|svg)[\s>/])",
    re.DOTALL | re.IGNORECASE,
)


def mime_type(upload: Upload) -> str | None:
    """The MIME type, one of EXTENSIONS; None if it isn't allowed. Name and declared type only tell CSV from plain text."""
    data = upload.content
    for start, found in STARTS:
        if data.startswith(start):
            return found
    if data.startswith(b"RIFF"):
        return RIFF.get(data[8:12])
    if data.startswith(ZIP):
        return _office_type(data)
    if _is_mp3_frame(data):
        return "audio/mpeg"
    return _text_type(upload)


def _is_mp3_frame(data: bytes) -> bool:
    """An MPEG audio frame of layer III without a tag: 11 bits of sync, and no reserved value behind them."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:  # noqa: PLR2004 the four bytes of a frame's header
        return False
    version, layer = data[1] >> 3 & 3, data[1] >> 1 & 3
    bitrate, rate = data[2] >> 4, data[2] >> 2 & 3
    return version != 1 and layer == 1 and bitrate not in {0, 15} and rate != 3  # noqa: PLR2004 the reserved values


def _office_type(data: bytes) -> str | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return None
    if "[Content_Types].xml" not in members:
        return None
    return next((found for member, found in OFFICE_MEMBERS.items() if member in members), None)


def _text_type(upload: Upload) -> str | None:
    try:
        text = upload.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if CONTROL.search(text) or MARKUP.match(text):
        return None
    if _is_json(text):
        return "application/json"
    says_csv = upload.filename.lower().endswith(".csv") or upload.content_type.lower() == "text/csv"
    return "text/csv" if says_csv and csv_import.parses(text) else "text/plain"


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
