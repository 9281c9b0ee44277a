"""How a run's events are spelled for a browser's EventSource."""

from collections.abc import Sequence
from typing import Any

import orjson

from services.reporting.convert import messages
from services.reporting.entities.results import RunEvent
from services.reporting.entities.runs import STARTED, Run
from shared.errors import Invalid

CONTENT_TYPE = "text/event-stream"
SCORED = "case.scored"
# How long a client waits before it comes again.
RETRY = b"retry: 1000\n\n"
COMMENT = b": still here\n\n"


def last_event_id(header: str) -> int:
    """The number after which a client wants to go on, 0 (from the first) without one. Raises Invalid if it is no number."""
    if not header:
        return 0
    if not (header.isascii() and header.isdigit()):
        raise Invalid({"Last-Event-ID": "must be the number of an event"})
    return int(header)


def numbered(events: Sequence[RunEvent], run: Run) -> bytes:
    """Events with their numbers. The first tells of the run as it was accepted, the last of the run as it ended."""
    return b"".join(
        b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.kind.encode(), orjson.dumps(_data(event, run))) for event in events
    )


def progress(run: Run) -> bytes:
    """How far a run is; has no number, since it is not repeated."""
    counts = {
        "total_cases": run.total_cases,
        "completed_cases": run.tally.results,
        "passed_cases": run.tally.passed,
        "failed_cases": run.tally.failed,
        "error_cases": run.tally.errors,
    }
    return b"event: run.progress\ndata: %s\n\n" % orjson.dumps(counts)


def _data(event: RunEvent, run: Run) -> dict[str, Any]:
    if event.kind != SCORED:
        return messages.run_json(run.as_accepted() if event.kind == STARTED else run)
    data: dict[str, Any] = {"test_case_id": str(event.test_case_id), "repeat": event.repeat, "status": event.status}
    if event.score is not None:
        data["score"] = event.score
    return data
