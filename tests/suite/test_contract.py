"""The checker itself: each way of differing from the contract is seen. Needs no stack."""

import json
from typing import Any

import pytest

from tests.suite.builders import UNKNOWN
from tests.suite.client import Answer
from tests.suite.contract import RESULT, RUN, TEST_SET, is_uncouth, page, refused

NOW = "2026-01-02T03:04:05.678Z"
A_SET: dict[str, Any] = {
    "id": UNKNOWN,
    "context_id": UNKNOWN,
    "name": "n",
    "mode": "scenario",
    "language": "en",
    "test_case_count": 0,
    "created_at": NOW,
    "updated_at": NOW,
}
A_RUN: dict[str, Any] = {
    "id": UNKNOWN,
    "test_set_id": UNKNOWN,
    "context_id": UNKNOWN,
    "status": "completed",
    "triggered_by": "api",
    "total_cases": 2,
    "completed_cases": 2,
    "passed_cases": 1,
    "failed_cases": 1,
    "error_cases": 0,
    "pass_rate": 0.5,
    "tags": [],
    "average_score": 1,
    "created_at": NOW,
    "started_at": NOW,
    "completed_at": NOW,
    "stream_url": "/v1/x",
}
A_RESULT: dict[str, Any] = {
    "id": UNKNOWN,
    "run_id": UNKNOWN,
    "test_case_id": UNKNOWN,
    "repeat": 1,
    "question": "q",
    "expected_response": "e",
    "actual_response": "",
    "test_method": "exact_match",
    "method": "deterministic",
    "status": "failed",
    "score": 0,
    "attempts": 1,
    "scored_by": "exact_match@1",
    "warnings": [],
    "created_at": NOW,
}


def answer(status: int, body: object) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())


def test_what_keeps_to_the_contract_passes() -> None:
    assert TEST_SET(A_SET) == ""
    assert TEST_SET({**A_SET, "description": "d", "last_run_at": NOW, "last_run_pass_rate": 1}) == ""
    assert RUN(A_RUN) == ""
    assert RESULT(A_RESULT) == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"description": None}, "description"),
        ({"description": ""}, "description"),
        ({"colour": "blue"}, "colour is not in the contract"),
        ({"test_case_count": "0"}, "test_case_count"),
        ({"test_case_count": 0.5}, "test_case_count"),
        ({"test_case_count": True}, "test_case_count"),
        ({"id": "01890000-0000-4000-8000-000000000000"}, "id"),
        ({"id": UNKNOWN.replace("0", "A", 1)}, "id"),
        ({"created_at": "2026-01-02T03:04:05+00:00"}, "created_at"),
        ({"created_at": "2026-13-02T03:04:05Z"}, "created_at|month"),
        ({"last_run_pass_rate": 1.01}, "last_run_pass_rate"),
        ({"mode": "MODE_UNSPECIFIED"}, "mode"),
    ],
)
def test_a_value_that_differs_is_seen(change: dict[str, Any], fault: str) -> None:
    try:
        found = TEST_SET({**A_SET, **change})
    except ValueError as wrong:
        found = str(wrong)
    assert any(part in found for part in fault.split("|"))


@pytest.mark.parametrize("name", A_SET)
def test_a_key_that_is_missing_is_seen(name: str) -> None:
    assert f"{name} is missing" in TEST_SET({key: value for key, value in A_SET.items() if key != name})


@pytest.mark.parametrize(
    "change",
    [{"completed_cases": 1}, {"pass_rate": 0.4}, {"stream_url": "http://x"}, {"total_cases": 3}, {"total_cases": 1}, {"tags": None}],
)
def test_a_run_whose_numbers_do_not_go_together_is_seen(change: dict[str, Any]) -> None:
    assert RUN({**A_RUN, **change})


@pytest.mark.parametrize("change", [{"status": "error"}, {"error": "why"}, {"warnings": None}, {"repeat": None}])
def test_a_result_that_contradicts_itself_is_seen(change: dict[str, Any]) -> None:
    assert RESULT({**A_RESULT, **change})


@pytest.mark.parametrize("change", [{"total": 2}, {"total_pages": 0}, {"items": None}, {"page": 2}, {"page_size": "20"}])
def test_a_page_that_does_not_add_up_is_seen(change: dict[str, Any]) -> None:
    whole = {"items": [A_SET], "total": 1, "page": 1, "page_size": 20, "total_pages": 1}
    assert page(answer(200, whole), TEST_SET) == [A_SET]
    with pytest.raises(AssertionError):
        page(answer(200, {**whole, **change}), TEST_SET)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"code": 3, "message": "m", "details": []}),
        (400, {"code": 3, "message": "m"}),
        (400, {"code": 3, "message": "", "details": []}),
        (400, {"code": "3", "message": "m", "details": []}),
        (400, {"code": 3, "message": "m", "details": None}),
        (400, {"error": "m"}),
    ],
)
def test_a_refusal_of_another_shape_is_seen(status: int, body: object) -> None:
    with pytest.raises(AssertionError):
        refused(answer(status, body), status)
    assert is_uncouth(answer(status, body))


def test_a_refusal_that_does_not_name_its_field_is_seen() -> None:
    body = answer(400, {"code": 3, "message": "page: must be a number", "details": []})
    assert refused(body, 400, "page")
    with pytest.raises(AssertionError):
        refused(body, 400, "search")


def test_our_insides_are_seen() -> None:
    assert is_uncouth(answer(500, {"code": 13, "message": "m", "details": []}))
    assert is_uncouth(answer(400, {"code": 3, "message": "Traceback (most recent call last)", "details": []}))
    assert not is_uncouth(answer(400, {"code": 3, "message": "m", "details": []}))


@pytest.mark.parametrize("text", [b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": Infinity}'])
def test_json_that_is_no_json_is_seen(text: bytes) -> None:
    with pytest.raises(AssertionError):
        _ = Answer(200, {"content-type": "application/json"}, text).json
