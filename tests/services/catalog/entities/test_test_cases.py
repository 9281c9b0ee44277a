"""What a case may be."""

from typing import Any

import pytest

from services.catalog.entities.files import file_url, own_file_id
from services.catalog.entities.test_cases import Content
from shared.ids import new_id

FILE_ID = "01a20147-87cb-771f-9328-ddef9dd581df"


def content(**said: Any) -> Content:
    return Content(**{"question": "Why?", "expected_response": "Because.", **said})


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"question": " ", "expected_response": "\n"},
        {"passing_score": 0.0},
        {"passing_score": 1.0},
        {"test_method": "keyword_match", "keywords": (" ",)},
        {"keywords": ("a", "a")},
        {"order": -5},
        {"file_url": "https://files.test/a.png?x=1", "file_mime_type": "image/png"},
        {"file_url": f"/v1/evaluation/files/{FILE_ID}"},
    ],
)
def test_this_content_is_right(said: dict[str, Any]) -> None:
    assert content(**said).faults() == {}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("question", {"question": ""}),
        ("expected_response", {"expected_response": ""}),
        ("test_method", {"test_method": ""}),
        ("test_method", {"test_method": "Exact_Match"}),
        ("passing_score", {"passing_score": -0.01}),
        ("passing_score", {"passing_score": 1.01}),
        ("passing_score", {"passing_score": float("nan")}),
        ("keywords", {"test_method": "keyword_match"}),
        ("keywords[1]", {"keywords": ("a", "")}),
        ("file_url", {"file_url": "a.png"}),
        ("file_url", {"file_url": "javascript:alert(1)"}),
        ("file_url", {"file_url": f"javascript:/v1/evaluation/files/{FILE_ID}"}),
        ("file_url", {"file_url": "/v1/evaluation/files/none"}),
        ("file_url", {"file_url": "http://user:word@files.test/a"}),
        ("file_mime_type", {"file_mime_type": "m" * 256}),
    ],
)
def test_each_wrong_field_is_named(field: str, said: dict[str, Any]) -> None:
    assert list(content(**said).faults()) == [field]


def test_a_file_of_ours_is_known_by_its_path() -> None:
    made = new_id()
    assert own_file_id(file_url("http://gateway.test/", made)) == made
    assert own_file_id(f"/v1/evaluation/files/{made}") == made
    assert own_file_id(f"https://elsewhere.test/files/{made}") is None
    assert own_file_id("http://[broken/v1/evaluation/files/") is None
