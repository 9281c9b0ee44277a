"""Results as CSV."""

import csv
import io

import pytest
from hypothesis import given, strategies as st

from services.reporting import export
from services.reporting.export import Exported

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def a_row(question: str = "q", score: float | None = 0.5, **more: object) -> Exported:
    known = {
        "question": question,
        "expected_response": "e",
        "actual_response": "a",
        "status": "passed",
        "score": score,
        "reasoning": None,
        "execution_time_ms": 3,
        "error": None,
        "ord": 0,
        "evaluator": "",
    }
    return Exported(**{**known, **more})  # type: ignore[arg-type]


def lines(*rows: Exported) -> str:
    return b"".join(export.chunks(rows)).decode()


def test_lines_end_with_crlf_and_absent_values_are_empty() -> None:
    assert export.header() == b"question,expected_response,actual_response,status,score,reasoning,execution_time_ms,error\r\n"
    assert lines(a_row(score=None, actual_response=None, execution_time_ms=None)) == "q,e,,passed,,,,\r\n"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_text_that_could_be_a_formula_gets_an_apostrophe(first: str) -> None:
    assert export.safe(f"{first}cmd|'/c calc'!A0") == f"'{first}cmd|'/c calc'!A0"


@pytest.mark.parametrize("text", ["", "1-1", " =1", "'tis", "plain", "\u4f60=", None])
def test_other_texts_stay_as_they_are(text: str | None) -> None:
    assert export.safe(text) == text


@pytest.mark.parametrize("text", ["'=1", "''=1", "'\t"])
def test_a_text_that_looks_escaped_gets_an_apostrophe_of_its_own(text: str) -> None:
    assert export.safe(text) == f"'{text}"


def test_numbers_stay_numbers() -> None:
    assert lines(a_row(score=-0.5, execution_time_ms=-1)) == "q,e,a,passed,-0.5,,-1,\r\n"


@given(TEXTS, TEXTS)
def test_any_text_is_read_back(question: str, reasoning: str) -> None:
    (row,) = csv.reader(io.StringIO(lines(a_row(question, reasoning=reasoning)), newline=""))
    assert (row[0], row[5]) == (export.safe(question), export.safe(reasoning))
    assert not row[0].startswith(export.DANGEROUS)


def test_pieces_are_about_64_kib_and_never_split_a_row() -> None:
    pieces = list(export.chunks([a_row("x" * 1000) for _ in range(500)]))
    assert all(piece.endswith(b"\r\n") for piece in pieces)
    assert {len(piece) // 1024 for piece in pieces[:-1]} == {64}
    assert len(list(export.chunks([a_row("x" * 200_000)] * 2))) == 2
