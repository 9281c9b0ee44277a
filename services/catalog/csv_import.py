"""Test cases from a CSV file: bytes in, contents and faults out."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from services.catalog.entities.files import MAX_BYTES
from services.catalog.entities.test_cases import Content
from shared.errors import Invalid

REQUIRED = ("question", "expected_response")
COLUMNS = (*REQUIRED, "test_method", "passing_score", "keywords", "order")
MAX_ROWS = 10_000
MAX_CELL_BYTES = 64 * 1024
INT32 = range(-(2**31), 2**31)
# What a spreadsheet would take for a formula. The export puts ' before such a cell, and before one that already looks
# escaped, so that taking one ' off here always gives the text that was exported.
ESCAPED = re.compile("'+[=+\\-@\t\r\n＝＋－＠]")  # noqa: RUF001 the full-width forms are meant
# float() and int() would also take "nan", "1_0" and digits of other scripts.
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
KEYWORDS_END = re.compile("[;,]")


@dataclass(frozen=True)
class Fault:
    """One fault of a row. `row`: the line where the record begins, the header being 1. `column`: None if it is the whole row."""

    row: int
    column: str | None
    message: str


@dataclass(frozen=True)
class Imported:
    """What became of the rows: each is a content, or has faults."""

    contents: Sequence[Content]
    faults: Sequence[Fault]

    @property
    def error_count(self) -> int:
        """Rows with a fault."""
        return len({fault.row for fault in self.faults})


@dataclass(frozen=True)
class _Record:
    row: int
    cells: Sequence[str]
    fault: str | None = None


def read(data: bytes) -> Imported:
    """Reads a file. Lines without any character are no rows. Raises Invalid if it can't be read as a whole."""
    records = _records(_decoded(data))
    header = next(records, None)
    if header is None:
        _refuse("is empty")
    names = _columns(header)
    contents: list[Content] = []
    faults: list[Fault] = []
    for count, record in enumerate(records, start=1):
        if count > MAX_ROWS:
            _refuse(f"must have at most {MAX_ROWS} rows")
        content, found = _row(record, names)
        if content is None or found:
            faults.extend(found)
        else:
            contents.append(content)
    return Imported(contents, faults)


def parses(text: str) -> bool:
    """Whether a text is CSV with at least one record."""
    seen = False
    for record in _records(text):
        if record.fault:
            return False
        seen = True
    return seen


def template() -> bytes:
    """A file with every column and two example rows."""
    out = io.StringIO()
    rows = (
        COLUMNS,
        ("What is the capital of France?", "Paris", "exact_match", "1", "", "1"),
        (
            "How can I reset my password?",
            "Open the settings, choose Security, then Reset password.",
            "keyword_match",
            "0.5",
            "settings;reset",
            "2",
        ),
    )
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _refuse(fault: str) -> NoReturn:
    raise Invalid({"file": fault})


def _decoded(data: bytes) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as fault:
        _refuse(f"can't be decoded: byte {fault.start} is not valid {'UTF-16' if wide else 'UTF-8'}")


def _records(text: str) -> Iterator[_Record]:
    # The reader's own limit is for the whole process and, where it strikes, loses the place in the file: our own is checked
    # on what was read.
    csv.field_size_limit(MAX_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        row = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            yield _Record(row, (), _quoting_fault(str(fault)))
        else:
            if cells:
                yield _Record(row, cells)


def _quoting_fault(message: str) -> str:
    if "end of data" in message:
        return "a quoted cell that begins here is never closed"
    return "a quoted cell goes on after its closing quote; double the quotes inside of it"


def _columns(header: _Record) -> tuple[str, ...]:
    """The names of the columns. Blank ones may be repeated: spreadsheets leave them at the right edge."""
    if header.fault:
        _refuse(f"has a broken header: {header.fault}")
    names = tuple(cell.strip("\ufeff \t").lower() for cell in header.cells)
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        _refuse(f"repeats the column {repeated[0][:80]}")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        _refuse(f"lacks the column {', '.join(missing)}")
    return names


def _row(record: _Record, names: Sequence[str]) -> tuple[Content | None, list[Fault]]:
    if record.fault:
        return None, [Fault(record.row, None, record.fault)]
    found = _cell_faults(record, names)
    if len(record.cells) > len(names):
        found.append(Fault(record.row, None, f"has {len(record.cells)} cells, but the header has {len(names)}"))
    cells = {name: _unescaped(cell) for name, cell in zip(names, record.cells, strict=False) if name in COLUMNS}
    content, faults = _content(cells)
    known = {fault.column for fault in found}
    found += [Fault(record.row, column, message) for column, message in faults.items() if column not in known]
    return content, found


def _cell_faults(record: _Record, names: Sequence[str]) -> list[Fault]:
    found = []
    for place, cell in enumerate(record.cells):
        column = (names[place][:80] or None) if place < len(names) else None
        if "\0" in cell:
            found.append(Fault(record.row, column, "must not contain U+0000"))
        elif len(cell) * 4 > MAX_CELL_BYTES and len(cell.encode()) > MAX_CELL_BYTES:
            found.append(Fault(record.row, column, "must have at most 64 KiB"))
    return found


def _unescaped(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and ESCAPED.match(cell) else cell


def _content(cells: Mapping[str, str]) -> tuple[Content, Mapping[str, str]]:
    """What a row says, and what is wrong with it by column; an empty or absent optional cell is the default."""
    said = Content(cells.get("question", ""), cells.get("expected_response", ""))
    faults: dict[str, str] = {}
    method, score, keywords, order = (cells.get(column, "").strip() for column in COLUMNS[2:])
    passing_score, place = said.passing_score, said.order
    if score:
        if NUMBER.fullmatch(score):
            passing_score = float(score)
        else:
            faults["passing_score"] = "must be a number from 0 to 1, with a point"
    if order:
        if INTEGER.fullmatch(order) and int(order) in INT32:
            place = int(order)
        else:
            faults["order"] = "must be a whole number of at most 32 bits"
    parts = (part.strip() for part in KEYWORDS_END.split(keywords)) if keywords else ()
    content = Content(
        said.question, said.expected_response, method or said.test_method, passing_score, tuple(part for part in parts if part), place
    )
    return content, {**faults, **content.faults()}
