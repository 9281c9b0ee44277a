"""Results as CSV rows (RFC 4180, UTF-8, CRLF), safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CONTENT_TYPE = "text/csv; charset=utf-8"
HEADER = ("question", "expected_response", "actual_response", "status", "score", "reasoning", "execution_time_ms", "error")
# What a spreadsheet takes for a formula, or for the end of the cell before it; and the full-width forms of the first four.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CHUNK_CHARACTERS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Exported:
    """What a row shows, in the order of the header; then where it stands, so that the next page begins after it."""

    question: str
    expected_response: str
    actual_response: str | None
    status: str
    score: float | None
    reasoning: str | None
    execution_time_ms: int | None
    error: str | None
    ord: int
    evaluator: str


def header() -> bytes:
    """The first line."""
    return b"".join(_encoded([HEADER]))


def chunks(rows: Iterable[Exported]) -> Iterator[bytes]:
    """The rows' lines, about 64 KiB at a time; a single row is never split."""
    return _encoded(_cells(row) for row in rows)


def _encoded(lines: Iterable[Iterable[str | float | None]]) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    for line in lines:
        writer.writerow(line)
        if text.tell() >= CHUNK_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    if text.tell():
        yield text.getvalue().encode()


def _cells(row: Exported) -> tuple[str | float | None, ...]:
    return (
        safe(row.question),
        safe(row.expected_response),
        safe(row.actual_response),
        row.status,
        row.score,
        safe(row.reasoning),
        row.execution_time_ms,
        safe(row.error),
    )


def safe(text: str | None) -> str | None:
    """A text cell that no spreadsheet takes for a formula: those that could be one get a leading apostrophe.

    So do those that look as if they had got one already, for the import takes one off and must not take off theirs.
    """
    return f"'{text}" if text and text.lstrip("'").startswith(DANGEROUS) else text
