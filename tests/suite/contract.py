"""What every answer of family D looks like, written down from the wire contract: keys, types, and what may be absent.

`conform(value, TEST_SET)` raises AssertionError that names everything that differs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.suite.client import Answer, is_number

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
SHA256 = re.compile(r"[0-9a-f]{64}")

Check = Callable[[Any], str]
"""Says what is wrong with a value; "" if nothing is."""

# gRPC's numbers by HTTP status; two kinds of conflict there are.
CODES: Mapping[int, frozenset[int]] = {
    400: frozenset({3}),
    401: frozenset({16}),
    403: frozenset({7}),
    404: frozenset({5}),
    409: frozenset({6, 9, 10}),
    413: frozenset({3}),
    429: frozenset({8}),
    503: frozenset({14}),
    504: frozenset({4}),
}


def _must(holds: Callable[[Any], bool], said: str) -> Check:
    return lambda value: "" if holds(value) else f"{value!r:.80} is not {said}"


def _matches(pattern: re.Pattern[str], said: str) -> Check:
    return _must(lambda value: isinstance(value, str) and bool(pattern.fullmatch(value)), said)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_moment(value: Any) -> bool:
    return isinstance(value, str) and bool(MOMENT.fullmatch(value)) and bool(datetime.fromisoformat(value))  # raises for a 13th month


text = _must(lambda value: isinstance(value, str), "a text")
said = _must(lambda value: isinstance(value, str) and bool(value), "a text with something in it")
uuid7 = _matches(UUID7, "a UUIDv7")
sha256 = _matches(SHA256, "a SHA-256 in lower-case hexadecimal")
moment = _must(_is_moment, "a time in RFC 3339, UTC, with Z")
count = _must(_is_count, "a JSON number that counts")
whole = _must(lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole JSON number")
rate = _must(lambda value: is_number(value) and 0 <= value <= 1, "a number from 0 to 1")
difference = _must(lambda value: is_number(value) and -1 <= value <= 1, "a number from -1 to 1")
flag = _must(lambda value: isinstance(value, bool), "true or false")
anything: Check = _must(lambda value: isinstance(value, dict), "an object")


def one_of(*values: str) -> Check:
    """One of these texts."""
    return _must(lambda value: value in values, f"one of {', '.join(values)}")


@dataclass(frozen=True)
class Shape:
    """An object with exactly these keys; an optional one is left out where it has no value, never null."""

    always: Mapping[str, Check]
    optional: Mapping[str, Check] = field(default_factory=dict)

    def __call__(self, value: Any) -> str:
        if not isinstance(value, dict):
            return f"{value!r:.80} is not an object"
        known = {**self.always, **self.optional}
        found = [f"{name} is missing" for name in self.always if name not in value]
        found += [f"{name} is not in the contract" for name in value if name not in known]
        found += [f"{name}: {fault}" for name, item in value.items() if name in known and (fault := known[name](item))]
        return "; ".join(found)


def or_null(check: Check) -> Check:
    """Such, or null: in some families a key is always there."""
    return lambda value: "" if value is None else check(value)


def each(check: Check) -> Check:
    """An array of such."""

    def faults(value: Any) -> str:
        if not isinstance(value, list):
            return f"{value!r:.80} is not an array"
        return "; ".join(f"[{index}] {fault}" for index, item in enumerate(value) if (fault := check(item)))

    return faults


def conform(value: Any, check: Check) -> Any:
    """The value. Raises AssertionError that names every difference."""
    fault = check(value)
    assert not fault, fault
    return value


METHODS = ("exact_match", "keyword_match", "similarity", "semantic_quality")
RUN_STATUSES = ("pending", "starting", "running", "completed", "error", "cancelled")
ENDED = ("completed", "error", "cancelled")
STATUSES = ("passed", "failed", "error")

CONNECTION = Shape(
    {
        "id": uuid7,
        "name": said,
        "kind": one_of("openai", "http", "grpc", "builtin"),
        "max_concurrency": count,
        "timeout_ms": count,
        "has_secret": flag,
        "created_at": moment,
        "updated_at": moment,
    },
    {"base_url": said, "model": said, "requests_per_minute": count},
)

CONTEXT = Shape(
    {"id": uuid7, "name": said, "statement": text, "connection_id": uuid7, "created_at": moment, "updated_at": moment},
    {"model": said, "parameters": anything},
)

TEST_SET = Shape(
    {
        "id": uuid7,
        "context_id": uuid7,
        "name": said,
        "mode": one_of("scenario", "independent"),
        "language": said,
        "test_case_count": count,
        "created_at": moment,
        "updated_at": moment,
    },
    {"description": said, "last_run_at": moment, "last_run_pass_rate": rate},
)

TEST_CASE = Shape(
    {
        "id": uuid7,
        "test_set_id": uuid7,
        "question": said,
        "expected_response": said,
        "test_method": one_of(*METHODS),
        "passing_score": rate,
        "keywords": each(said),
        "order": whole,
        "created_at": moment,
        "updated_at": moment,
    },
    {"file_url": said, "file_mime_type": said},
)

STORED_FILE = Shape({"file_url": said, "file_mime_type": said, "size_bytes": count, "sha256": sha256})

UPLOADED_CSV = Shape(
    {"created_count": count, "error_count": count, "errors": each(Shape({"row": count, "message": said}, {"column": said}))}
)

_RUN = Shape(
    {
        "id": uuid7,
        "test_set_id": uuid7,
        "context_id": uuid7,
        "status": one_of(*RUN_STATUSES),
        "triggered_by": one_of("api"),
        "total_cases": count,
        "completed_cases": count,
        "passed_cases": count,
        "failed_cases": count,
        "error_cases": count,
        "tags": each(said),
        "created_at": moment,
        "stream_url": said,
    },
    {"pass_rate": rate, "average_score": rate, "started_at": moment, "completed_at": moment},
)


def RUN(value: Any) -> str:
    """A Run, and what its numbers must be to each other."""
    return _RUN(value) or _sums(value)


def _sums(run: Mapping[str, Any]) -> str:
    done = run["passed_cases"] + run["failed_cases"] + run["error_cases"]
    expected = {"pass_rate": run["passed_cases"] / done} if done else {}
    found = [
        "completed_cases is not passed + failed + error" if run["completed_cases"] != done else "",
        "completed_cases is over total_cases" if done > run["total_cases"] else "",
        f"pass_rate is not {expected}" if abs(run.get("pass_rate", -1) - expected.get("pass_rate", -1)) > 1e-9 else "",
        "stream_url is no absolute path" if not run["stream_url"].startswith("/") else "",
        "an ended run has no completed_at" if run["status"] == "completed" and "completed_at" not in run else "",
        "a completed run lacks results" if run["status"] == "completed" and done != run["total_cases"] else "",
    ]
    return "; ".join(filter(None, found))


_RESULT = Shape(
    {
        "id": uuid7,
        "run_id": uuid7,
        "test_case_id": uuid7,
        "repeat": count,
        "question": said,
        "expected_response": said,
        "test_method": one_of(*METHODS),
        "method": said,
        "status": one_of(*STATUSES),
        "scored_by": text,
        "warnings": each(said),
        "attempts": count,
        "created_at": moment,
    },
    {"actual_response": text, "score": rate, "reasoning": said, "execution_time_ms": count, "error": said},
)


def RESULT(value: Any) -> str:
    """A Result, with what its status goes along with."""
    fault = _RESULT(value)
    if fault:
        return fault
    if value["status"] == "error":
        return "" if "error" in value else "an error without its reason"
    return "" if {"score", "actual_response"} <= set(value) and "error" not in value else f"{value['status']} without score or answer"


_CHANGE = Shape(
    {"test_case_id": uuid7, "question": said, "status_a": one_of(*STATUSES), "status_b": one_of(*STATUSES)},
    {"score_a": rate, "score_b": rate},
)

_INTERVAL = _must(
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and value[0] <= value[1], "[low, high]"
)

COMPARISON = Shape(
    {
        "run_a": RUN,
        "run_b": RUN,
        "improved": each(_CHANGE),
        "regressed": each(_CHANGE),
        "unchanged": count,
        "only_in_a": count,
        "only_in_b": count,
        "verdict": one_of("improved", "regressed", "undecided"),
        "warnings": each(said),
    },
    {"pass_rate_diff": difference, "average_score_diff": difference, "p_value": rate, "confidence_interval": _INTERVAL},
)

PROGRESS = Shape(dict.fromkeys(("total_cases", "completed_cases", "passed_cases", "failed_cases", "error_cases"), count))
CASE_SCORED = Shape({"test_case_id": uuid7, "repeat": count, "status": one_of(*STATUSES)}, {"score": rate})

_DETAILS = each(_must(lambda value: isinstance(value, dict) and str(value.get("@type", "")).startswith("type.googleapis.com/"), "a detail"))
ERROR = Shape({"code": count, "message": said, "details": _DETAILS})


def page_of(check: Check) -> Check:
    """The envelope of a list."""
    return Shape({"items": each(check), "total": count, "page": count, "page_size": count, "total_pages": count})


def page(answer: Answer, check: Check) -> Any:
    """The items of a page whose numbers fit together."""
    assert answer.status == 200, answer
    found = conform(answer.json, page_of(check))
    size, total = found["page_size"], found["total"]
    assert found["total_pages"] == -(-total // size), found
    assert len(found["items"]) == max(0, min(size, total - (found["page"] - 1) * size)), found
    return found["items"]


def refused(answer: Answer, status: int, *fields: str, reason: str | None = None) -> Any:
    """The body of a refusal of this status that names these fields. `reason`: of its ErrorInfo, where it is one of the domain's."""
    assert answer.status == status, answer
    body = conform(answer.json, ERROR)
    assert body["code"] in CODES[status], body
    assert b"Traceback" not in answer.body, body
    details = {detail["@type"].rpartition(".")[2]: detail for detail in body["details"]}
    if details:
        assert details["ErrorInfo"]["reason"], body
        assert details["ErrorInfo"]["domain"], body
    if reason:
        assert details["ErrorInfo"]["reason"] == reason, body
    violations = details.get("BadRequest", {}).get("fieldViolations", [])
    named = {re.split(r"[.\[]", violation["field"])[0] for violation in violations}
    for name in fields:
        assert (name in named and body["details"]) or (not body["details"] and name in body["message"]), (name, body)
    return body


def is_uncouth(answer: Answer) -> str:
    """What no answer may ever be; "" if this one isn't. For tables of mistakes."""
    if answer.status >= 500:
        return f"{answer.status}"
    if any(word in answer.body for word in (b"Traceback", b'  File "', b"asyncpg", b"Exception", b"upstream connect")):
        return "the body shows our insides"
    if answer.status < 400 or answer.status == 204:
        return ""
    fault = ERROR(answer.json)
    wrong_code = not fault and answer.json["code"] not in CODES.get(answer.status, frozenset())
    return fault or (f"{answer.status} with code {answer.json['code']}" if wrong_code else "")
