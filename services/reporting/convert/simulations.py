"""Executions of run tests as callers, and the catalog, read them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from assay.reporting.internal.v1 import reporting_pb2 as internal_pb
from assay.reporting.v1 import simulations_pb2 as pb
from services.reporting.convert.paging import following, preceding
from services.reporting.convert.times import timestamp
from services.reporting.entities.families import execution_status, held
from services.reporting.entities.runs import Run, Tally
from shared.errors import Invalid
from shared.ids import canonical_id
from shared.json_values import value
from shared.pages import Page


def execution_id(request: pb.GetEvalSummaryRequest) -> UUID | None:
    """The execution that is asked for, None for the newest. Raises Invalid for a malformed id."""
    if not request.HasField("execution_id"):
        return None
    try:
        return canonical_id(request.execution_id)
    except ValueError:
        raise Invalid({"execution_id": "must be an execution's id"}) from None


def execution(run: Run, executed_cases: int) -> pb.TestExecution:
    """One execution."""
    return pb.TestExecution(
        id=str(run.id),
        status=pb.TestExecution.Status.Value(execution_status(run, executed_cases)),
        started_at=timestamp(run.started_at),
        completed_at=timestamp(run.completed_at),
        total_calls=run.total_cases,
        completed_calls=held(run, executed_cases),
    )


def executions(url: str, page: Page[Run], executed: Mapping[UUID, int]) -> pb.ListExecutionsResponse:
    """A page of executions; `url` is the list's own."""
    return pb.ListExecutionsResponse(
        count=page.total,
        next=value(following(url, page)),
        previous=value(preceding(url, page)),
        results=[execution(run, executed.get(run.id, 0)) for run in page.items],
        total_pages=page.total_pages,
        current_page=page.request.page,
    )


def summary(found: Mapping[str, Tally]) -> pb.GetEvalSummaryResponse:
    """What each evaluation found."""
    return pb.GetEvalSummaryResponse(
        evaluations=[
            pb.EvaluationSummary(
                name=name, average_score=tally.average_score, total_runs=tally.results, passed=tally.passed, failed=tally.failed
            )
            for name, tally in found.items()
        ]
    )


def newest(found: Sequence[tuple[Run, int]]) -> internal_pb.ReadNewestRunsResponse:
    """The newest run of each subject."""
    return internal_pb.ReadNewestRunsResponse(
        runs=[
            internal_pb.ReadNewestRunsResponse.NewestRun(
                subject_id=str(run.subject.id), run_id=str(run.id), status=execution_status(run, executed)
            )
            for run, executed in found
        ]
    )
