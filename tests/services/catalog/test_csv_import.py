"""The corpus of CSV files: what is read, and each fault with the line where its record begins."""

import codecs

import pytest
from hypothesis import given, strategies as st

from services.catalog import csv_import
from services.catalog.csv_import import MAX_ROWS, Fault
from services.catalog.entities.test_cases import Content
from shared.errors import Invalid

HEAD = b"question,expected_response\n"
FULL = b"question,expected_response,test_method,passing_score,keywords,order\n"


def pairs(data: bytes) -> list[tuple[str, str]]:
    imported = csv_import.read(data)
    assert not imported.faults
    return [(content.question, content.expected_response) for content in imported.contents]


def faults(data: bytes) -> list[tuple[int, str | None]]:
    return [(fault.row, fault.column) for fault in csv_import.read(data).faults]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEAD, []),
        (HEAD.strip(), []),
        (HEAD + b"a,b", [("a", "b")]),
        (HEAD + b"a,b\nc,d\n", [("a", "b"), ("c", "d")]),
        (HEAD.replace(b"\n", b"\r\n") + b"a,b\r\nc,d\r\n", [("a", "b"), ("c", "d")]),
        (HEAD.replace(b"\n", b"\r") + b"a,b\rc,d\r", [("a", "b"), ("c", "d")]),
        (codecs.BOM_UTF8 + HEAD + "ä,世".encode(), [("ä", "世")]),
        (codecs.BOM_UTF16_LE + (HEAD + b"a,b").decode().encode("utf-16-le"), [("a", "b")]),
        (codecs.BOM_UTF16_BE + (HEAD + b"a,b").decode().encode("utf-16-be"), [("a", "b")]),
        (HEAD + b'"a\nb","c\r\nd"\n', [("a\nb", "c\r\nd")]),
        (HEAD + b'"a\rb",c\r', [("a\rb", "c")]),
        (HEAD + b'"say ""hi""","a,b"\n', [('say "hi"', "a,b")]),
        (HEAD + b'5" pipe,b\n', [('5" pipe', "b")]),
        (HEAD + b" a , b \n", [(" a ", " b ")]),
        (HEAD + "a\u2028b,c\x0bd\x85\n".encode(), [("a\u2028b", "c\x0bd\x85")]),
        (HEAD + b"\n\na,b\n\n", [("a", "b")]),
        (b"expected_response,question\nb,a\n", [("a", "b")]),
        (b" Question ,EXPECTED_RESPONSE\na,b\n", [("a", "b")]),
        (b"id,question,expected_response,,\n1,a,b,,\n", [("a", "b")]),
        (b'"question","expected_response"\na,b\n', [("a", "b")]),
        (HEAD + b"x," + b"y" * 65_536 + b"\n", [("x", "y" * 65_536)]),
        (HEAD + b"'=1+1,'-\n", [("=1+1", "-")]),
        (HEAD + "'＝1,'＠a\n".encode(), [("＝1", "＠a")]),  # noqa: RUF001 the full-width forms are meant
        (HEAD + b"'\ta,\"'\nb\"\n", [("\ta", "\nb")]),
        (HEAD + b"''=1,'quoted'\n", [("'=1", "'quoted'")]),
        (HEAD + b"=1+1,@a\n", [("=1+1", "@a")]),
    ],
)
def test_these_files_are_read(data: bytes, expected: list[tuple[str, str]]) -> None:
    assert pairs(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            HEAD + b",b\na,\na\n,\n",
            [(2, "question"), (3, "expected_response"), (4, "expected_response"), (5, "question"), (5, "expected_response")],
        ),
        (HEAD + b"a,b,c\na,b,\n", [(2, None), (3, None)]),
        (HEAD + b'"a\nb",c\n\n,d\n', [(5, "question")]),
        (HEAD.replace(b"\n", b"\r") + b'"a\rb",c\r,d\r', [(4, "question")]),
        (HEAD + b"a\0,b\n", [(2, "question")]),
        (b"question,expected_response,note\na,b,\0\n", [(2, "note")]),
        (HEAD + b"a," + b"y" * 65_537 + b"\nc,\n", [(2, "expected_response"), (3, "expected_response")]),
        (HEAD + b"a," + "é".encode() * 32_769 + b"\n", [(2, "expected_response")]),
        (HEAD + b'"a"b,c\nd,\n', [(2, None), (3, "expected_response")]),
        (HEAD + b'a,b\n"c,d\ne,f\n', [(3, None)]),
        (FULL + b"a,b,exact,,,\n", [(2, "test_method")]),
        (FULL + b"a,b,Exact_Match,,,\n", [(2, "test_method")]),
        (FULL + b"a,b,keyword_match,,,\n", [(2, "keywords")]),
        (FULL + b"a,b,keyword_match,, ; ,,\n", [(2, None), (2, "keywords")]),
        (FULL + b"a,b,exact,2,,x\n,b,,,,\n", [(2, "order"), (2, "passing_score"), (2, "test_method"), (3, "question")]),
    ],
)
def test_each_fault_is_named_with_its_line(data: bytes, expected: list[tuple[int, str | None]]) -> None:
    assert sorted(faults(data), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("score", "right"),
    [
        *((text, True) for text in ("", "0", "1", "0.7", ".5", "1.", "1e-1", "+0.5", " 0.5 ", "'-0")),
        *(
            (text, False)
            for text in ("nan", "NaN", "inf", "-inf", "infinity", '"0,7"', "-0.1", "1.1", "1e9", "0_1", "70%", "high", "\uff10", "1e999")
        ),
    ],
)
def test_a_passing_score_is_a_number_from_0_to_1(score: str, right: bool) -> None:  # noqa: FBT001 a table's column
    imported = csv_import.read(FULL + f"a,b,exact_match,{score},,\n".encode())
    assert [fault.column for fault in imported.faults] == ([] if right else ["passing_score"])


@pytest.mark.parametrize(
    ("order", "right"),
    [
        *((text, True) for text in ("", "0", "-1", "'-1", "2147483647", "-2147483648", " 7 ", "+7", "007")),
        *((text, False) for text in ("2147483648", "-2147483649", "1.0", "1e3", "1_0", "x", "9" * 5000)),
    ],
)
def test_an_order_is_a_whole_number(order: str, right: bool) -> None:  # noqa: FBT001 a table's column
    imported = csv_import.read(FULL + f"a,b,exact_match,,,{order}\n".encode())
    assert [fault.column for fault in imported.faults] == ([] if right else ["order"])


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("a;b", ("a", "b")),
        ('"a,b"', ("a", "b")),
        ('" a ; b, c ;"', ("a", "b", "c")),
        ("one two", ("one two",)),
        ("'=a;b", ("=a", "b")),
        (";", ()),
        ("", ()),
    ],
)
def test_keywords_stand_in_one_cell(cell: str, expected: tuple[str, ...]) -> None:
    (content,) = csv_import.read(FULL + f"a,b,exact_match,,{cell},\n".encode()).contents
    assert content.keywords == expected


def test_what_a_row_leaves_out_is_the_default() -> None:
    imported = csv_import.read(FULL + b"a,b\nc,d,,,,\ne,f,similarity,0.5,x,3\n")
    assert imported.contents == [Content("a", "b"), Content("c", "d"), Content("e", "f", "similarity", 0.5, ("x",), 3)]


def test_created_and_faulty_rows_are_all_rows() -> None:
    imported = csv_import.read(FULL + b"a,b,exact,2,,\nc,d,,,,\n,,,,,\n\ng,h,,,,\n")
    assert (len(imported.contents), imported.error_count, len(imported.faults)) == (2, 2, 4)


def test_a_fault_says_what_is_wrong() -> None:
    assert csv_import.read(HEAD + b"a,b,c\n").faults == [Fault(2, None, "has 3 cells, but the header has 2")]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "is empty"),
        (b"\n\r\n", "is empty"),
        (codecs.BOM_UTF8, "is empty"),
        (b"question\na\n", "lacks the column expected_response"),
        (b"a,b\n", "lacks the column question, expected_response"),
        (b"question;expected_response\na;b\n", "lacks the column"),
        (b"question,expected_response,Question\na,b,c\n", "repeats the column question"),
        (b"question,expected_response,note,note\na,b,c,d\n", "repeats the column note"),
        (b'"question,expected_response\na,b\n', "broken header"),
        (HEAD + b"caf\xe9,b\n", "can't be decoded: byte 30"),
        (HEAD + b"\xed\xa0\x80,b\n", "can't be decoded"),
        (codecs.BOM_UTF16_LE + b"q", "can't be decoded"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8a\0", "can't be decoded"),
        (HEAD + b"a,b\n" * (MAX_ROWS + 1), "at most 10000 rows"),
        (HEAD + b"a\n" * (MAX_ROWS + 1), "at most 10000 rows"),
    ],
)
def test_these_files_are_refused_as_a_whole(data: bytes, fault: str) -> None:
    with pytest.raises(Invalid, match=fault) as refused:
        csv_import.read(data)
    assert list(refused.value.fields) == ["file"]


def test_ten_thousand_rows_are_read() -> None:
    assert len(pairs(HEAD + b"a,b\n" * MAX_ROWS)) == MAX_ROWS


def test_the_template_imports_cleanly() -> None:
    imported = csv_import.read(csv_import.template())
    assert (len(imported.contents), imported.faults) == (2, [])
    assert csv_import.template().splitlines()[0] == FULL.strip()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        imported = csv_import.read(HEAD + data)
    except Invalid:
        return
    assert imported.error_count <= len(imported.faults)
    assert all(not content.faults() for content in imported.contents)
