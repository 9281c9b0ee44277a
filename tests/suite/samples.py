"""Small files of every allowed type, and some of others; each has the first bytes that its type is told by."""

import io
import struct
import zipfile
from collections.abc import Mapping

from tests.suite.client import File

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89"
WAV = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data\0\0\0\0"
ZIP_OF_NOTHING = b"PK\5\6" + b"\0" * 18


def zipped(*names: str) -> bytes:
    """A zip archive that holds files of these names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "<?xml version='1.0'?><x/>")
    return out.getvalue()


# The type that a file is stored as → a file of it. WAV and MP3 go by several names.
ALLOWED: Mapping[str, File] = {
    "image/png": File(PNG, "a.png", "image/png"),
    "image/jpeg": File(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xd9", "a.jpg", "image/jpeg"),
    "image/gif": File(b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff;", "a.gif", "image/gif"),
    "image/webp": File(b"RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0", "a.webp", "image/webp"),
    "application/pdf": File(b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n", "a.pdf", "application/pdf"),
    "text/plain": File("Grüße, plain and simple.\n".encode(), "a.txt", "text/plain"),
    "text/csv": File(b"name,age\r\nAnn,30\r\nBob,31\r\n", "a.csv", "text/csv"),
    "application/json": File(b'{"a": [1, 2, {"b": null}]}', "a.json", "application/json"),
    "audio/wav": File(WAV, "a.wav", "audio/wav"),
    "audio/mpeg": File(b"ID3\4\0\0\0\0\0\0" + b"\xff\xfb\x90\x64" + b"\0" * 413, "a.mp3", "audio/mpeg"),
    WORD: File(zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml"), "a.docx", WORD),
    SHEET: File(zipped("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"), "a.xlsx", SHEET),
}
ALIASES: Mapping[str, frozenset[str]] = {
    "audio/wav": frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"}),
    "audio/mpeg": frozenset({"audio/mpeg", "audio/mp3"}),
}

REFUSED: Mapping[str, File] = {
    "empty": File(b"", "a.png", "image/png"),
    "an ELF program": File(b"\x7fELF\2\1\1" + b"\0" * 57, "a.png", "image/png"),
    "a Windows program": File(b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0", "a.exe", "application/pdf"),
    "a zip": File(zipped("a.txt"), "a.docx", WORD),
    "an empty zip": File(ZIP_OF_NOTHING, "a.xlsx", SHEET),
    "a gzip": File(b"\x1f\x8b\x08\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0", "a.txt", "text/plain"),
    "an old Word file": File(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504, "a.docx", WORD),
    "bytes without a meaning": File(bytes(range(256)), "a.txt", "text/plain"),
    "a TIFF": File(b"II*\0\x08\0\0\0\0\0\0\0\0\0", "a.png", "image/png"),
    "a film": File(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a.mp3", "audio/mpeg"),
}
