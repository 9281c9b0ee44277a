"""How family E spells runs of assistant tests."""

from uuid import UUID

from assay.catalog.internal.v1 import subjects_pb2
from assay.runner.v1 import assistant_test_runs_pb2 as pb
from services.runner.entities import Run

FAMILY = "assistant_test"
SUITE_RUN = "test_suite_run_id"
PENDING = pb.TestRun.Status.pending


def wanted(test_id: UUID, options: pb.TestRunOptions) -> subjects_pb2.OpenSubjectRequest:
    """What the catalog is to open."""
    return subjects_pb2.OpenSubjectRequest(family=FAMILY, subject_id=str(test_id), version_id=options.destination_version_id)


def test_run(run: Run) -> pb.TestRun:
    """A new run: it reads pending, and every criterion with it."""
    message = pb.TestRun(
        run_id=str(run.id),
        test_id=str(run.subject_id),
        status=PENDING,
        triggered_by=run.triggered_by,
        test_suite_run_id=run.details.get(SUITE_RUN),
        detail_status=[pb.TestRun.Detail(name=evaluator["name"], status=PENDING) for evaluator in run.evaluators],
    )
    message.created_at.FromDatetime(run.created_at)
    message.updated_at.FromDatetime(run.created_at)
    return message
