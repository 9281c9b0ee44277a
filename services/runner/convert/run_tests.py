"""How family B spells executions of run tests."""

from collections.abc import Sequence
from uuid import UUID

from assay.catalog.internal.v1 import subjects_pb2
from assay.runner.v1 import chat_calls_pb2, run_test_executions_pb2 as pb
from services.runner.entities import Run

FAMILY = "run_test"
PENDING = "pending"


def wanted(run_test_id: UUID, scenario_ids: Sequence[str], *, client_driven: bool = False) -> subjects_pb2.OpenSubjectRequest:
    """What the catalog is to open."""
    return subjects_pb2.OpenSubjectRequest(
        family=FAMILY, subject_id=str(run_test_id), scenario_ids=scenario_ids, client_driven=client_driven
    )


def execution(run: Run) -> pb.ExecuteRunTestResponse:
    """An execution that was started."""
    scenario_ids = run.details.get("scenario_ids", ())
    return pb.ExecuteRunTestResponse(
        message="execution started",
        execution_id=str(run.id),
        run_test_id=str(run.subject_id),
        status=PENDING,
        total_scenarios=len(scenario_ids),
        total_calls=run.total_cases,
        scenario_ids=scenario_ids,
    )


def chat_execution(run: Run) -> chat_calls_pb2.StartChatExecutionResponse:
    """An execution that the client drives."""
    started = execution(run)
    result = chat_calls_pb2.StartChatExecutionResponse.Result(
        message=started.message,
        execution_id=started.execution_id,
        run_test_id=started.run_test_id,
        status=started.status,
        total_scenarios=started.total_scenarios,
    )
    return chat_calls_pb2.StartChatExecutionResponse(status=True, result=result)
