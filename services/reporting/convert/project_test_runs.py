"""Test runs of projects as callers read them."""

from collections.abc import Mapping, Sequence

from assay.reporting.v1 import project_test_runs_pb2 as pb
from assay.runner.v1 import project_test_run_pb2 as runner_pb
from services.reporting.convert.times import timestamp
from services.reporting.entities.families import client_evaluations, evaluations, recorded
from services.reporting.entities.runs import Run, Tally
from shared.json_values import value

ProjectTestRun = runner_pb.ProjectTestRun


def test_run(run: Run, found: Mapping[str, Tally], executed_cases: int) -> ProjectTestRun:
    """A test run; `found` by evaluator."""
    return ProjectTestRun(
        id=str(run.id),
        test_run_id=str(run.id),
        name=_text(run, "name"),
        description=_text(run, "description"),
        created_at=timestamp(run.created_at),
        sessions_count=recorded(run, executed_cases),
        status=ProjectTestRun.completed if run.closed else ProjectTestRun.running,
        summary_statistics=ProjectTestRun.SummaryStatistics(
            auto_evaluation=_evaluations(evaluations(run, found)),
            client_evaluation=_evaluations(client_evaluations(found)),
        ),
    )


def test_runs(messages: Sequence[ProjectTestRun]) -> pb.ListProjectTestRunsResponse:
    """A list of test runs."""
    return pb.ListProjectTestRunsResponse(test_runs=messages)


def _evaluations(found: Mapping[str, Tally]) -> dict[str, ProjectTestRun.Evaluation]:
    return {
        name: ProjectTestRun.Evaluation(
            passed=tally.passed, failed=tally.failed, error=tally.errors, average_score=value(tally.average_score)
        )
        for name, tally in found.items()
    }


def _text(run: Run, key: str) -> str:
    kept = run.subject.details.get(key)
    return kept if isinstance(kept, str) else ""
