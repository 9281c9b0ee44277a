"""What each family makes of a run: the states and words that its documents know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from services.reporting.entities.runs import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    ERROR,
    FAILED,
    PASSED,
    PENDING,
    RUNNING,
    STARTING,
    Run,
    Tally,
)
from shared.errors import Invalid

# Statuses of assistant tests.
TEST_STATUSES = (PENDING, STARTING, RUNNING, PASSED, FAILED, ERROR)

CLIENT, RECORDED = "client:", "recorded"


@dataclass(frozen=True)
class Listing:
    """Which runs of a family are wanted; None: it doesn't matter. `test_status` is an assistant test's."""

    family: str
    subject_id: UUID | None = None
    group_key: str | None = None
    test_status: str | None = None
    test_suite_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one evaluator found in one case, without the case's texts."""

    evaluator: str
    status: str
    reasoning: str | None
    error: str | None


@dataclass(frozen=True)
class Conversation:
    """What is known of a run of one conversation: what was said, if it is known, and what was found, in order."""

    record: Mapping[str, Any]
    findings: Sequence[Finding] = ()


@dataclass(frozen=True)
class Generation:
    """A run of a prompt's test case, with what came of it; `answered` tells whether its one result is here."""

    run_id: UUID
    test_case_id: UUID
    version_id: UUID | None
    state: str
    reason: str
    created_at: datetime
    completed_at: datetime | None
    output: str | None
    error: str | None
    latency_ms: int | None
    usage: Mapping[str, Any] | None

    @property
    def status(self) -> str:
        """As generations are told of: initializing, running, succeeded or failed."""
        if self.completed_at is None:
            return "initializing" if self.state in (PENDING, STARTING) else "running"
        return "succeeded" if self.state == COMPLETED and self.output is not None and self.error is None else "failed"

    @property
    def failure(self) -> str | None:
        """Why it failed; None if it didn't."""
        if self.status != "failed":
            return None
        return self.error or self.reason or ("it was cancelled" if self.state == CANCELLED else "there is no output")


def test_status(run: Run) -> str:
    """Where a run of an assistant test stands; store/listings.py says the same in SQL."""
    if not run.closed:
        return RUNNING if run.state == CANCELLING else run.state
    if run.state != COMPLETED or run.tally.errors or not run.tally.results:
        return ERROR
    return FAILED if run.tally.failed else PASSED


def criteria_statuses(run: Run, findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Every criterion with its status, in the rubric's order: until it is judged it stands where the run stands."""
    judged: dict[str, str] = {}
    for finding in findings:  # the worst counts, should a criterion be judged twice
        known = judged.get(finding.evaluator, PASSED)
        judged[finding.evaluator] = max(known, finding.status, key=(PASSED, FAILED, ERROR).index)
    unjudged = ERROR if run.closed else test_status(run)
    return [(name, judged.get(name, unjudged)) for name in run.subject.evaluators]


def test_status_filter(wanted: str | None) -> str | None:
    """The status that runs of a test are filtered by, None for all. Raises Invalid for one that doesn't exist."""
    if wanted is not None and wanted not in TEST_STATUSES:
        raise Invalid({"status": f"must be one of {', '.join(TEST_STATUSES)}"})
    return wanted


def stable_id(run: Run, name: str) -> UUID:
    """The same id for a part of a run whenever it is asked for."""
    return uuid5(run.id, name)


def execution_status(run: Run, executed_cases: int) -> str:
    """Where an execution of a run test stands."""
    if run.closed:
        return {ERROR: "failed"}.get(run.state, run.state)
    if run.state == CANCELLING:
        return CANCELLED
    if run.state in (PENDING, STARTING):
        return PENDING
    return "evaluating" if run.total_cases and held(run, executed_cases) >= run.total_cases else RUNNING


def held(run: Run, executed_cases: int) -> int:
    """Cases that were executed, or could not be: what the runner says of an open run may be older than the results."""
    return run.cases.scored if run.closed else max(run.cases.scored, executed_cases)


def evaluations(run: Run, found: Mapping[str, Tally]) -> dict[str, Tally]:
    """What the run's own evaluators found: each has an entry, in order, whether or not it found something yet."""
    others = [name for name in found if name not in run.subject.evaluators and name != RECORDED and not name.startswith(CLIENT)]
    return {name: found.get(name, Tally()) for name in (*run.subject.evaluators, *others)}


def client_evaluations(found: Mapping[str, Tally]) -> dict[str, Tally]:
    """What the client itself found, by the names that it gave."""
    return {name.removeprefix(CLIENT): tally for name, tally in found.items() if name.startswith(CLIENT)}


def recorded(run: Run, executed_cases: int) -> int:
    """Cases that an output was recorded of."""
    return run.cases.answered if run.closed else max(run.cases.answered, executed_cases)
