"""Results as they are read, and what they are made of when they are heard of."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.reporting.entities.runs import ERROR, FAILED, PASSED, Tally
from shared.errors import Invalid

RESULT_STATUSES = (PASSED, FAILED, ERROR)
NO_RECORD = "{}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case by one evaluator. `status` is passed, failed or error; scores and thresholds are 0-1."""

    id: UUID
    run_id: UUID
    test_case_id: UUID
    repeat: int
    question: str
    expected_response: str
    actual_response: str | None
    test_method: str
    method: str
    status: str
    score: float | None
    threshold: float
    reasoning: str | None
    execution_time_ms: int | None
    error: str | None
    scored_by: str
    warnings: tuple[str, ...]
    attempts: int
    created_at: datetime


class NewResult(NamedTuple):
    """A row of results that was heard of: a tuple, since thousands a second are turned into columns."""

    run_id: UUID
    ord: int
    evaluator: str
    workspace_id: UUID
    id: UUID
    test_case_id: UUID
    repeat: int
    question: str
    expected_response: str
    actual_response: str | None
    test_method: str
    method: str
    status: str
    score: float | None
    threshold: float
    reasoning: str | None
    execution_time_ms: int | None
    error: str | None
    scored_by: str
    judge: str | None
    warnings: str
    attempts: int
    created_at: datetime
    details: str | None

    @property
    def key(self) -> tuple[UUID, int, str]:
        """What makes it one and the same result, however often it is heard of."""
        return self[:3]

    @property
    def characters(self) -> int:
        """How long its texts are."""
        return len(self.question) + len(self.expected_response) + len(self.actual_response or "")


class CaseRecord(NamedTuple):
    """What is known of the execution of a case beside its output: a JSON object."""

    run_id: UUID
    ord: int
    workspace_id: UUID
    answered: bool
    record: str


@dataclass(frozen=True)
class Added:
    """What was added to the results of 1,000 neighbouring ords of a run by one evaluator."""

    workspace_id: UUID
    run_id: UUID
    block: int
    evaluator: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One numbered event of a run: `kind` is case.scored (then the next four tell of it), run.started or a final one."""

    seq: int
    kind: str
    test_case_id: UUID | None = None
    repeat: int = 0
    status: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Texts:
    """The texts of a case that were too long for an event."""

    question: str
    expected: str
    output: str | None
    record: str = NO_RECORD


def status_filter(wanted: str | None) -> str | None:
    """The status that results are filtered by, None for all. Raises Invalid for one that doesn't exist."""
    if wanted is not None and wanted not in RESULT_STATUSES:
        raise Invalid({"status": f"must be one of {', '.join(RESULT_STATUSES)}"})
    return wanted
