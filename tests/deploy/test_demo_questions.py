"""The demo's questions are a valid CSV import, and the documentation can answer them."""

import csv
import re
from collections import Counter
from pathlib import Path

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
DOCUMENTATION = " ".join(page.read_text(encoding="utf-8") for page in sorted((DEMO / "documentation").glob("*.md")))
COLUMNS = ["question", "expected_response", "test_method", "passing_score", "keywords", "order"]
METHODS = {"exact_match", "keyword_match", "similarity", "semantic_quality"}

Row = dict[str, str]


def _rows() -> list[Row]:
    with (DEMO / "questions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _keywords(row: Row) -> list[str]:
    return [keyword for keyword in row["keywords"].split(";") if keyword]


def _occurs(keyword: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(keyword)}(?!\w)", text, re.IGNORECASE) is not None


ROWS = _rows()
KEYWORD_ROWS = [row for row in ROWS if row["test_method"] == "keyword_match"]
EXACT_ROWS = [row for row in ROWS if row["test_method"] == "exact_match"]


def test_the_columns_are_those_of_the_import() -> None:
    assert list(ROWS[0]) == COLUMNS


def test_there_are_at_least_two_hundred_questions() -> None:
    assert len(ROWS) >= 200


def test_no_question_is_asked_twice() -> None:
    asked = Counter(row["question"].casefold() for row in ROWS)
    assert [question for question, times in asked.items() if times > 1] == []


def test_every_question_has_an_expected_response() -> None:
    assert [row["question"] for row in ROWS if not row["question"].strip() or not row["expected_response"].strip()] == []


def test_all_four_methods_are_used_and_no_other() -> None:
    assert {row["test_method"] for row in ROWS} == METHODS


def test_passing_scores_lie_above_zero_and_up_to_one() -> None:
    assert [row["question"] for row in ROWS if not 0 < float(row["passing_score"]) <= 1] == []


def test_the_order_counts_the_rows_from_one() -> None:
    assert [int(row["order"]) for row in ROWS] == list(range(1, len(ROWS) + 1))


def test_exactly_the_keyword_questions_have_keywords() -> None:
    assert [row["question"] for row in ROWS if bool(_keywords(row)) != (row["test_method"] == "keyword_match")] == []


def test_no_keyword_holds_the_imports_other_separator() -> None:
    assert [row["question"] for row in KEYWORD_ROWS if "," in row["keywords"]] == []


def test_every_keyword_occurs_in_the_documentation() -> None:
    assert [(row["question"], keyword) for row in KEYWORD_ROWS for keyword in _keywords(row) if not _occurs(keyword, DOCUMENTATION)] == []


def test_every_expected_response_has_all_its_keywords() -> None:
    missing = [
        (row["question"], keyword) for row in KEYWORD_ROWS for keyword in _keywords(row) if not _occurs(keyword, row["expected_response"])
    ]
    assert missing == []


def test_an_exact_response_is_a_sentence_of_the_documentation() -> None:
    plain = DOCUMENTATION.replace("`", "")
    assert [row["question"] for row in EXACT_ROWS if row["expected_response"] not in plain] == []
