"""What every answer of family E looks like, written down from the wire contract: a key without a value is left out."""

from collections.abc import Sequence
from typing import Any

from tests.suite.client import Answer
from tests.suite.contract import Check, Shape, anything, conform, count, each, flag, moment, one_of, said, text, uuid7

RUN_STATUSES = ("pending", "starting", "running", "passed", "failed", "error")
ENDED = ("passed", "failed", "error")
CHANNELS = ("phone_call", "web_call", "sms_chat", "web_chat")

ASSISTANT = Shape(
    {
        "id": uuid7,
        "name": said,
        "instructions": text,
        "connection_id": uuid7,
        "tools": each(anything),
        "main_version_id": uuid7,
        "created_at": moment,
        "updated_at": moment,
    },
    {"model": said, "description": said},
)
VERSION = Shape(
    {
        "version_id": uuid7,
        "assistant_id": uuid7,
        "instructions": text,
        "connection_id": uuid7,
        "tools": each(anything),
        "is_main": flag,
        "created_at": moment,
    },
    {"model": said},
)
DELETED = Shape({"id": uuid7, "object": one_of("assistant"), "deleted": lambda value: "" if value is True else f"{value!r} is not true"})

TEST = Shape(
    {
        "test_id": uuid7,
        "name": said,
        "telnyx_conversation_channel": one_of(*CHANNELS),
        "rubric": each(Shape({"name": said, "criteria": said})),
        "created_at": moment,
    },
    {
        "description": said,
        "destination": uuid7,
        "instructions": said,
        "max_duration_seconds": count,
        "test_suite": said,
        "schedule": said,
    },
)
_RUN = Shape(
    {
        "run_id": uuid7,
        "test_id": uuid7,
        "status": one_of(*RUN_STATUSES),
        "triggered_by": one_of("manual", "cron", "api"),
        "created_at": moment,
        "detail_status": each(Shape({"name": said, "status": one_of(*RUN_STATUSES)})),
    },
    {
        "completed_at": moment,
        "logs": said,
        "conversation_id": said,
        "conversation_insights_id": said,
        "test_suite_run_id": uuid7,
        "updated_at": moment,
    },
)


def verdict(statuses: Sequence[str]) -> str:
    """What a run's status must be, once every criterion has ended."""
    return "error" if "error" in statuses else "failed" if "failed" in statuses else "passed"


def RUN(value: Any) -> str:
    """A TestRun; an ended one says when, and is what its criteria say."""
    fault = _RUN(value)
    if fault or value["status"] not in ENDED:
        return fault
    statuses = [detail["status"] for detail in value["detail_status"]]
    found = [
        "" if "completed_at" in value else "it has ended without completed_at",
        "" if set(statuses) <= set(ENDED) else f"it has ended, but its criteria have not: {statuses}",
        "" if value["status"] == verdict(statuses) else f"it is {value['status']}, its criteria {statuses}",
    ]
    return "; ".join(filter(None, found))


SUITES = Shape({"data": each(said)})
META = Shape(dict.fromkeys(("page_number", "page_size", "total_pages", "total_results"), count))


def listed(answer: Answer, check: Check) -> list[dict[str, Any]]:
    """The entries of a page whose numbers fit together."""
    assert answer.status == 200, answer
    found = conform(answer.json, Shape({"data": each(check), "meta": META}))
    meta = found["meta"]
    size, total = meta["page_size"], meta["total_results"]
    assert meta["total_pages"] == -(-total // size), meta
    assert len(found["data"]) == max(0, min(size, total - (meta["page_number"] - 1) * size)), meta
    items: list[dict[str, Any]] = found["data"]
    return items
