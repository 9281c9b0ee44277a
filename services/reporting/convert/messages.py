"""What callers ask, and what they read."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from google.protobuf import json_format
from google.protobuf.struct_pb2 import ListValue, Value

from assay.reporting.v1 import reports_pb2 as pb
from assay.runner.v1 import runs_pb2
from services.reporting.comparison import Change, Comparison
from services.reporting.convert.times import timestamp
from services.reporting.entities.results import Result
from services.reporting.entities.runs import Run
from shared.errors import Invalid
from shared.ids import canonical_id
from shared.pages import Page


def runs_to_compare(request: pb.CompareRunsRequest) -> tuple[UUID, UUID]:
    """The ids of a comparison's two runs. Raises Invalid naming each that is missing or malformed."""
    found: dict[str, UUID] = {}
    wrong: dict[str, str] = {}
    for name, text in (("run_a", request.run_a), ("run_b", request.run_b)):
        try:
            found[name] = canonical_id(text)
        except ValueError:
            wrong[name] = "must be a run's id" if text else "is required"
    if wrong:
        raise Invalid(wrong)
    return found["run_a"], found["run_b"]


def run(found: Run) -> runs_pb2.Run:
    """A run as callers read it."""
    tally = found.tally
    return runs_pb2.Run(
        id=str(found.id),
        test_set_id=str(found.subject.id),
        context_id=str(found.subject.target_id),
        status=runs_pb2.Run.Status.Value(found.status),
        triggered_by=found.triggered_by,
        total_cases=found.total_cases,
        completed_cases=tally.results,
        passed_cases=tally.passed,
        failed_cases=tally.failed,
        error_cases=tally.errors,
        pass_rate=tally.pass_rate,
        average_score=tally.average_score,
        tags=found.tags,
        started_at=timestamp(found.started_at),
        completed_at=timestamp(found.completed_at),
        created_at=timestamp(found.created_at),
        stream_url=f"/v1/evaluation/runs/{found.id}/events",
    )


def run_json(found: Run) -> dict[str, Any]:
    """A run spelled as the gateway spells it: every key, except those of optional fields without a value."""
    return json_format.MessageToDict(run(found), always_print_fields_with_no_presence=True)


def result(found: Result) -> pb.Result:
    """A result as callers read it."""
    return pb.Result(
        id=str(found.id),
        run_id=str(found.run_id),
        test_case_id=str(found.test_case_id),
        repeat=found.repeat,
        question=found.question,
        expected_response=found.expected_response,
        actual_response=found.actual_response,
        test_method=found.test_method,
        method=found.method,
        status=pb.Outcome.Status.Value(found.status),
        score=found.score,
        reasoning=found.reasoning,
        execution_time_ms=found.execution_time_ms,
        error=found.error,
        scored_by=found.scored_by,
        warnings=found.warnings,
        attempts=found.attempts,
        created_at=timestamp(found.created_at),
    )


def results(page: Page[Result]) -> pb.ListResultsResponse:
    """A page of results."""
    return pb.ListResultsResponse(
        items=[result(item) for item in page.items],
        total=page.total,
        page=page.request.page,
        page_size=page.request.size,
        total_pages=page.total_pages,
    )


def history(page: Page[Run]) -> pb.ListRunHistoryResponse:
    """A page of runs."""
    return pb.ListRunHistoryResponse(
        items=[run(item) for item in page.items],
        total=page.total,
        page=page.request.page,
        page_size=page.request.size,
        total_pages=page.total_pages,
    )


def comparison(found: Comparison, questions: Mapping[UUID, str]) -> pb.Comparison:
    """A comparison as callers read it; `questions` by case."""
    interval = found.paired.interval
    return pb.Comparison(
        run_a=run(found.run_a),
        run_b=run(found.run_b),
        pass_rate_diff=found.pass_rate_diff,
        average_score_diff=found.average_score_diff,
        improved_cases=[_change(change, questions) for change in found.improved],
        regressed_cases=[_change(change, questions) for change in found.regressed],
        unchanged=found.unchanged,
        only_in_a=found.only_in_a,
        only_in_b=found.only_in_b,
        p_value=found.paired.p_value,
        confidence_interval=None if interval is None else _numbers(interval),
        verdict=pb.Comparison.Verdict.Value(found.paired.verdict),
        warnings=found.warnings,
    )


def _change(change: Change, questions: Mapping[UUID, str]) -> pb.Comparison.Change:
    return pb.Comparison.Change(
        test_case_id=str(change.a.test_case_id),
        question=questions.get(change.a.test_case_id, ""),
        status_a=pb.Outcome.Status.Value(change.a.status),
        status_b=pb.Outcome.Status.Value(change.b.status),
        score_a=change.a.score,
        score_b=change.b.score,
    )


def _numbers(values: Sequence[float]) -> ListValue:
    """A JSON array of numbers."""
    return ListValue(values=[Value(number_value=value) for value in values])
