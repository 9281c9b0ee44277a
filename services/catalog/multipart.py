"""The part `file` of a multipart/form-data body."""

from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from services.catalog.entities.files import MAX_BYTES
from shared.errors import Invalid, TooLarge

PART = "file"
MAX_PARTS = 100


@dataclass(frozen=True)
class Upload:
    """A file as it was sent. `filename` and `content_type` are what the sender says of it, "" for nothing."""

    content: bytes
    filename: str = ""
    content_type: str = ""


@dataclass
class _Part:
    headers: dict[str, bytes] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)


def read(content_type: str, body: bytes) -> Upload:
    """Raises Invalid for a body that isn't one whole multipart with one part `file`, TooLarge for a file over 10 MB."""
    kind, options = parse_options_header(content_type.encode())
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise Invalid({PART: "must be sent as multipart/form-data"})
    files = [upload for name, upload in map(_named, _parts(body, options[b"boundary"])) if name == PART]
    if len(files) != 1:
        raise Invalid({PART: "is required" if not files else "must be sent once"})
    if len(files[0].content) > MAX_BYTES:
        raise TooLarge("the file is larger than 10 MB")
    if not files[0].content:
        raise Invalid({PART: "must not be empty"})
    return files[0]


def _parts(body: bytes, boundary: bytes) -> list[_Part]:
    reading = _Reading()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reading.begin,
                "on_header_field": reading.name,
                "on_header_value": reading.value,
                "on_header_end": reading.header,
                "on_part_data": reading.data,
                "on_end": reading.end,
            },
        )
        parser.write(body)
    except FormParserError:
        reading.whole = False
    if not reading.whole:
        raise Invalid({PART: "is not a whole multipart body"})
    return reading.parts


class _Reading:
    """What the parser calls."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.whole = False
        self._name, self._value = b"", b""

    def begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise Invalid({PART: f"must come with at most {MAX_PARTS} parts"})
        self.parts.append(_Part())

    def name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header(self) -> None:
        self.parts[-1].headers[self._name.decode("latin-1").lower()] = self._value
        self._name, self._value = b"", b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].content += data[start:end]

    def end(self) -> None:
        self.whole = True


def _named(part: _Part) -> tuple[str, Upload]:
    # Headers stay bytes until here: of a text the parser takes Latin-1 only.
    _, options = parse_options_header(part.headers.get("content-disposition"))
    said, _ = parse_options_header(part.headers.get("content-type"))
    filename = options.get(b"filename", b"").decode("utf-8", "replace")
    upload = Upload(bytes(part.content), filename, said.decode("latin-1"))
    return options.get(b"name", b"").decode("utf-8", "replace"), upload
