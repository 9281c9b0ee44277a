"""The CSV corpus: files as people and spreadsheets make them, and what the contract says becomes of each."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

HEADER = "question,expected_response"
FULL = HEADER + ",test_method,passing_score,keywords,order"
MANY = 10_000


@dataclass(frozen=True)
class Csv:
    """A file that can be read. `faults`: (row, column or None where it is the whole row) in any order; `cases`: what is read back."""

    name: str
    content: bytes
    created: int
    faults: Sequence[tuple[int, str | None]] = ()
    cases: Sequence[dict[str, Any]] = field(default=())

    def __str__(self) -> str:
        return self.name


def _text(*lines: str, end: str = "\n") -> bytes:
    return (end.join(lines) + end).encode()


def _pair(question: str, expected: str, **more: Any) -> dict[str, Any]:
    return {"question": question, "expected_response": expected, **more}


def _scores(*cells: str) -> bytes:
    return _text(HEADER + ",passing_score", *(f"q{number},e,{cell}" for number, cell in enumerate(cells)))


TWO = (_pair("q1", "e1"), _pair("q2", "e2"))
TWO_LINES = (HEADER, "q1,e1", "q2,e2")

READABLE: Sequence[Csv] = (
    Csv("LF", _text(*TWO_LINES), 2, cases=TWO),
    Csv("CRLF", _text(*TWO_LINES, end="\r\n"), 2, cases=TWO),
    Csv("CR alone", _text(*TWO_LINES, end="\r"), 2, cases=TWO),
    Csv("no end of line at the end", _text(*TWO_LINES).rstrip(b"\n"), 2, cases=TWO),
    Csv("UTF-8 with BOM", codecs.BOM_UTF8 + _text(*TWO_LINES), 2, cases=TWO),
    Csv("UTF-16 LE with BOM", codecs.BOM_UTF16_LE + _text(*TWO_LINES).decode().encode("utf-16-le"), 2, cases=TWO),
    Csv("UTF-16 BE with BOM", codecs.BOM_UTF16_BE + _text(*TWO_LINES).decode().encode("utf-16-be"), 2, cases=TWO),
    Csv("letters of all kinds", _text(HEADER, "Was heißt 日本?,🎯 Ziel"), 1, cases=[_pair("Was heißt 日本?", "🎯 Ziel")]),
    Csv("header alone", _text(HEADER), 0),
    Csv("header alone, every column", _text(FULL), 0),
    Csv("header alone, no end of line", HEADER.encode(), 0),
    Csv("columns in another order", _text("expected_response,question", "e,q"), 1, cases=[_pair("q", "e")]),
    Csv("unknown columns", _text("id,question,note,expected_response", "1,q,n,e"), 1, cases=[_pair("q", "e")]),
    Csv(
        "defaults",
        _text(FULL, "q,e,,,,", "r,f"),
        2,
        cases=[
            _pair(q, e, test_method="semantic_quality", passing_score=0.7, keywords=[], order=0) for q, e in (("q", "e"), ("r", "f"))
        ],
    ),
    Csv(
        "every column",
        _text(FULL, "q,e,keyword_match,0.25,a;b c,-3"),
        1,
        cases=[_pair("q", "e", test_method="keyword_match", passing_score=0.25, keywords=["a", "b c"], order=-3)],
    ),
    Csv(
        "keywords with either separator",
        _text(FULL, 'q1,e,keyword_match,,"a,b",1', "q2,e,keyword_match,,a;b;c,2", 'q3,e,keyword_match,,"a,b;c",3', "q4,e,keyword_match,,one,4"),
        4,
        cases=[_pair(f"q{n}", "e", keywords=words) for n, words in enumerate((["a", "b"], ["a", "b", "c"], ["a", "b", "c"], ["one"]), start=1)],
    ),
    Csv("quotes and separators in cells", _text(HEADER, '"say ""hi"", please","a,b"'), 1, cases=[_pair('say "hi", please', "a,b")]),
    Csv("a line break in a cell", _text(HEADER, '"one\ntwo",e', '"a\r\nb",e'), 2, cases=[_pair("one\ntwo", "e"), _pair("a\r\nb", "e")]),
    Csv("spaces stay", _text(HEADER, "  q ,\te "), 1, cases=[_pair("  q ", "\te ")]),
    Csv("the line where a record begins", _text(HEADER, '"one\ntwo\nthree",e', ",e", '"x\n\ny",', "q,e"), 2, [(5, "question"), (6, "expected_response")]),
    Csv("the same after CRLF", _text(HEADER, '"one\r\ntwo",e', ",e", end="\r\n"), 1, [(4, "question")]),
    Csv("the same after CR alone", _text(HEADER, '"one\rtwo",e', ",e", end="\r"), 1, [(4, "question")]),
    Csv("too few cells", _text(FULL, "q", "q,e", "q,e,exact_match"), 2, [(2, "expected_response")]),
    Csv("too many cells", _text(HEADER, "q,e,surplus", "q,e", "q,e,,"), 1, [(2, None), (4, None)]),
    Csv("empty required cells", _text(HEADER, ",e", "q,", ","), 0, [(2, "question"), (3, "expected_response"), (4, "question"), (4, "expected_response")]),
    Csv("U+0000", b"question,expected_response\nq\0q,e\nq,e\nq,\0\n", 1, [(2, "question"), (4, "expected_response")]),
    Csv("an unknown method", _text(FULL, "q,e,psychic,,,", "q,e,exact_match,,,"), 1, [(2, "test_method")]),
    Csv("keyword_match without keywords", _text(FULL, "q,e,keyword_match,,,"), 0, [(2, "keywords")]),
    Csv(
        "scores that are none",
        _scores("nan", "NaN", "inf", "-inf", "Infinity", '"0,7"', "1.01", "-0.1", "high", "1e999", "0x1", "70%"),
        0,
        [(row, "passing_score") for row in range(2, 14)],
    ),
    Csv("scores that are some", _scores("0", "1", "0.5", ".5", "1.0", "5e-1"), 6),
    Csv("orders that are none", _text(HEADER + ",order", "q,e,1.5", "q,e,first", "q,e,99999999999", "q,e,7"), 1, [(2, "order"), (3, "order"), (4, "order")]),
    Csv("two faults of one row", _text(FULL, "q,e,psychic,nan,,x"), 0, [(2, "test_method"), (2, "passing_score"), (2, "order")]),
    Csv("a cell over 64 KiB", _text(HEADER, "q," + "x" * (64 * 1024 + 1), "q," + "x" * 64 * 1024), 1, [(2, "expected_response")]),
    Csv(
        "the escape of formulas is taken off",
        _text(HEADER, "'=1+1,'+1", "'-1,'@x", "'＝1,'＋1"),  # noqa: RUF001 the full-width forms are meant
        3,
        cases=[_pair("=1+1", "+1"), _pair("-1", "@x"), _pair("＝1", "＋1")],  # noqa: RUF001 as above
    ),
    Csv("other apostrophes stay", _text(HEADER, "'tis,rock 'n' roll"), 1, cases=[_pair("'tis", "rock 'n' roll")]),
    Csv("formulas are texts", _text(HEADER, "=1+1,@SUM(A1)"), 1, cases=[_pair("=1+1", "@SUM(A1)")]),
    Csv(
        "ten kinds of faults",
        _text(FULL, ",e", "q,", "q,e,psychic", "q,e,,nan", 'q,e,,"0,7"', "q,e,,2", "q,e,keyword_match", "q,e,,,,x", "q,e,,,,1,surplus", "q\0,e", "good,row"),
        1,
        [
            *((2, "question"), (3, "expected_response"), (4, "test_method"), (5, "passing_score"), (6, "passing_score")),
            *((7, "passing_score"), (8, "keywords"), (9, "order"), (10, None), (11, "question")),
        ],
        cases=[_pair("good", "row")],
    ),
)  # fmt: skip

UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "a BOM alone": codecs.BOM_UTF8,
    "undecodable bytes": b"question,expected_response\ncaf\xe9,e\n",
    "half a UTF-16 character": codecs.BOM_UTF16_LE + _text(HEADER, "q,e").decode().encode("utf-16-le") + b"x",
    "UTF-16 without BOM": _text(HEADER, "q,e").decode().encode("utf-16-le"),
    "no expected_response": _text("question,answer", "q,e"),
    "no question": _text("expected_response", "e"),
    "no header": _text("what is it?,that"),
    "a repeated required column": _text("question,expected_response,question", "q,e,q"),
    "a repeated optional column": _text(HEADER + ",order,order", "q,e,1,2"),
    "other separators": _text("question;expected_response", "q;e"),
    "more than 10,000 rows": _text(HEADER, *["q,e"] * (MANY + 1)),
    "more than 10,000 rows, all of them wrong": _text(HEADER, *[",e"] * (MANY + 1)),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
}
