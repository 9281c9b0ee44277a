"""CSV in and out: the corpus, the template, and that what was exported can be read again."""

import csv
import io
import time

import pytest

from tests.suite.builders import RUNS, SETS, TEMPLATE, Builders, Json, made
from tests.suite.client import Answer, Client, File
from tests.suite.contract import UPLOADED_CSV, conform, refused
from tests.suite.corpus import FULL, HEADER, MANY, READABLE, UNREADABLE, Csv


def upload(client: Client, test_set: Json, content: bytes) -> Answer:
    return client.upload(f"{SETS}/{test_set['id']}/upload-csv", File(content))


def cases_of(client: Client, test_set: Json) -> list[Json]:
    items: list[Json] = made(client.get(f"{SETS}/{test_set['id']}/cases", {"page_size": 100}), 200)["items"]
    return items


def count_of(client: Client, test_set: Json) -> int:
    return int(made(client.get(f"{SETS}/{test_set['id']}"), 200)["test_case_count"])


@pytest.mark.parametrize("file", READABLE, ids=str)
def test_good_rows_are_created_and_every_fault_is_told_by_its_line(client: Client, build: Builders, file: Csv) -> None:
    test_set = build.test_set()
    answer = conform(made(upload(client, test_set, file.content), 200), UPLOADED_CSV)
    assert sorted((e["row"], e.get("column", "")) for e in answer["errors"]) == sorted((row, column or "") for row, column in file.faults)
    assert (answer["created_count"], answer["error_count"]) == (file.created, len({row for row, _ in file.faults}))
    assert count_of(client, test_set) == file.created
    if file.cases:
        kept = sorted(cases_of(client, test_set), key=lambda case: str(case["id"]))
        assert [{name: case[name] for name in wanted} for case, wanted in zip(kept, file.cases, strict=True)] == list(file.cases)


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_file_that_cannot_be_read_creates_nothing(client: Client, build: Builders, what: str) -> None:
    test_set = build.test_set()
    refused(upload(client, test_set, UNREADABLE[what]), 400, "file", reason="INVALID_FIELD")
    assert count_of(client, test_set) == 0


def test_a_file_over_ten_megabytes_is_refused(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    row = "q," + "x" * 60_000 + "\n"
    content = (HEADER + "\n" + row * (1 + (10 << 20) // len(row))).encode()
    refused(upload(client, test_set, content), 413)
    refused(upload(client, test_set, content + content), 413)
    assert count_of(client, test_set) == 0


def test_a_csv_is_the_part_named_file(client: Client, build: Builders) -> None:
    path = f"{SETS}/{build.test_set()['id']}/upload-csv"
    refused(client.upload(path, File(READABLE[0].content, field="csv")), 400, "file")
    refused(client.post(path, {"file": "question,expected_response"}), 400)
    refused(client.send("POST", path, READABLE[0].content, {"content-type": "text/csv"}), 400)
    assert client.upload(path, File(READABLE[0].content, "anything.bin", "application/octet-stream")).status == 200


def test_rows_keep_their_order(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    upload(client, test_set, "\n".join([HEADER, *(f"q{number},e" for number in range(100))]).encode())
    assert [case["question"] for case in cases_of(client, test_set)] == [f"q{number}" for number in range(100)]


def test_ten_thousand_rows_are_read_while_a_client_waits(client: Client, large_set: Json) -> None:
    assert count_of(client, large_set) == MANY + 1
    assert large_set["seconds"] < 10


@pytest.fixture(scope="module")
def large_set(client: Client, build: Builders) -> Json:
    """A set of 10,001 cases, and how many `seconds` the first 10,000 took."""
    test_set = build.test_set()
    started = time.monotonic()
    answer = upload(client, test_set, "\n".join([HEADER, *(f"question {number},e" for number in range(MANY))]).encode())
    seconds = time.monotonic() - started
    assert made(answer, 200) == {"created_count": MANY, "error_count": 0, "errors": []}
    build.case(test_set)
    return {**test_set, "seconds": seconds}


def test_a_run_of_more_than_a_million_cases_is_refused(client: Client, large_set: Json) -> None:
    body = {"test_set_id": large_set["id"], "context_id": large_set["context_id"], "repeats": 100}
    refused(client.post(RUNS, body), 400, reason="INVALID_FIELD")


def test_the_template_has_every_column_and_two_rows_that_can_be_read(client: Client, build: Builders) -> None:
    answer = client.get(TEMPLATE)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert ",".join(rows[0]) == FULL
    assert len(rows) == 3
    assert made(upload(client, build.test_set(), answer.body), 200) == {"created_count": 2, "error_count": 0, "errors": []}


# fmt: off
DELICATE = (
    ("=1+1", "+1"), ("-1", "@SUM(A1)"), ("\tq", "\re"), ("\nq", "q\n"), ("'=1", "''=1"), ("'", "'plain"), ("＝1", "＋1"), ("－1", "＠x"),  # noqa: RUF001 the full-width forms are meant
    ('say "hi"', "a,b;c"), ("a\r\nb", "a\rb\nc"), (" q ", "\u00a0e"), ("🎯 日本", "naïve"), ("-", "="), ("1.5", "-0"), ("'\t", "'\r'"),
)
# fmt: on


def test_what_was_exported_is_imported_as_the_same_cases(client: Client, build: Builders) -> None:
    test_set, copy = build.test_set(), build.test_set()
    for question, expected in DELICATE:
        build.case(test_set, question=question, expected_response=expected)
    exported = client.get(f"{RUNS}/{build.finished(test_set)['id']}/export")
    assert made(upload(client, copy, exported.body), 200)["created_count"] == len(DELICATE)
    assert [(case["question"], case["expected_response"]) for case in cases_of(client, copy)] == list(DELICATE)
    for row in list(csv.reader(io.StringIO(exported.text, newline="")))[1:]:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")) for cell in row)  # noqa: RUF001 as above
