"""Runs of assistant tests as callers read them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from assay.reporting.v1 import assistant_test_runs_pb2 as pb
from assay.runner.v1 import assistant_test_runs_pb2 as runner_pb
from services.reporting.convert.times import timestamp
from services.reporting.entities.families import Conversation, Finding, criteria_statuses, stable_id, test_status
from services.reporting.entities.runs import Run
from shared.errors import Invalid
from shared.ids import canonical_id
from shared.pages import Page

# A page holds up to 100 runs, and a message 4 MB: of a longer conversation the middle is left out.
LOG_CHARACTERS = 24_000
UNKNOWN = Conversation({})


def suite_run_id(request: pb.ListSuiteRunsRequest) -> str | None:
    """The execution of a suite that runs are filtered by, None for all. Raises Invalid for a malformed id."""
    if not request.HasField("test_suite_run_id"):
        return None
    try:
        return str(canonical_id(request.test_suite_run_id))
    except ValueError:
        raise Invalid({"test_suite_run_id": "must be the id of a suite's execution"}) from None


def test_run(run: Run, told: Mapping[UUID, Conversation]) -> runner_pb.TestRun:
    """A run, with what is known of its conversation."""
    conversation = told.get(run.id, UNKNOWN)
    suite_run = run.subject.details.get("test_suite_run_id")
    began = run.started_at is not None and not (run.closed and not run.tally.results)
    return runner_pb.TestRun(
        run_id=str(run.id),
        test_id=str(run.subject.id),
        status=_status(test_status(run)),
        triggered_by=run.triggered_by,
        created_at=timestamp(run.created_at),
        completed_at=timestamp(run.completed_at),
        logs="\n".join(log_lines(run, conversation)) or None,
        conversation_id=str(stable_id(run, "conversation")) if began else None,
        conversation_insights_id=str(stable_id(run, "insights")) if conversation.findings else None,
        test_suite_run_id=str(suite_run) if suite_run else None,
        updated_at=timestamp(run.completed_at or run.started_at or run.created_at),
        detail_status=[
            runner_pb.TestRun.Detail(name=name, status=_status(status)) for name, status in criteria_statuses(run, conversation.findings)
        ],
    )


def page(found: Page[Run], told: Mapping[UUID, Conversation]) -> pb.ListTestRunsResponse:
    """A page of runs."""
    return pb.ListTestRunsResponse(
        data=[test_run(run, told) for run in found.items],
        meta=pb.TestRunPageMeta(
            page_number=found.request.page,
            page_size=found.request.size,
            total_pages=found.total_pages,
            total_results=found.total,
        ),
    )


def log_lines(run: Run, conversation: Conversation) -> Iterator[str]:
    """What was said, why it ended, and each criterion with its verdict and why."""
    yield from _shortened(list(_said(conversation.record)))
    ended = conversation.record.get("termination_reason")
    if ended:
        yield f"conversation ended: {ended}"
    if run.reason:
        yield f"the run could not be executed: {run.reason}"
    by_name = {finding.evaluator: finding for finding in conversation.findings}
    for name in (*(n for n in run.subject.evaluators if n in by_name), *(n for n in by_name if n not in run.subject.evaluators)):
        yield _verdict(by_name[name])


def _verdict(finding: Finding) -> str:
    why = finding.error or finding.reasoning
    return f"criterion {finding.evaluator}: {finding.status}" + (f" ({why})" if why else "")


def _said(record: Mapping[str, Any]) -> Iterator[str]:
    transcript = record.get("transcript")
    for message in transcript if isinstance(transcript, list) else []:
        if not isinstance(message, dict):
            continue
        if message.get("content"):
            yield f"{message.get('role', 'unknown')}: {_text(message['content'])}"
        for call in message.get("tool_calls") or []:
            if isinstance(call, dict):
                yield f"{message.get('role', 'unknown')} calls {call.get('name', '')}({_text(call.get('arguments', ''))})"


def _text(content: object) -> str:
    return content if isinstance(content, str) else orjson.dumps(content).decode()


def _shortened(lines: Sequence[str]) -> Iterator[str]:
    text = "\n".join(lines)
    if len(text) > LOG_CHARACTERS:
        kept = LOG_CHARACTERS // 2
        text = f"{text[:kept]}\n({len(text) - 2 * kept} characters are left out here)\n{text[-kept:]}"
    if text:
        yield text


def _status(name: str) -> "runner_pb.TestRun.Status.ValueType":
    return runner_pb.TestRun.Status.Value(name)
