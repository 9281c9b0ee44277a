"""Runs and results as they are read: what exists, and the rules that need only their arguments."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from shared.errors import Invalid

PENDING, STARTING, RUNNING, CANCELLING = "pending", "starting", "running", "cancelling"
COMPLETED, ERROR, CANCELLED = "completed", "error", "cancelled"
# In the order in which a run passes them; it never goes back.
OPEN_STATES = (PENDING, STARTING, RUNNING, CANCELLING)
PASSED, FAILED = "passed", "failed"
RESULT_STATUSES = (PASSED, FAILED, ERROR)
STARTED = "run.started"

# What the runner says of a final run, as far as it is taken over before the last result is here.
UNTIL_CLOSED = {COMPLETED: RUNNING, ERROR: PENDING, CANCELLED: CANCELLING}


@dataclass(frozen=True)
class News:
    """What the runner says of a run. `state` may be final; `ended_at` tells since when."""

    id: UUID
    workspace_id: UUID
    subject_id: UUID
    target_id: UUID | None
    state: str
    triggered_by: str
    total_cases: int
    tags: tuple[str, ...]
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""

    @property
    def open_state(self) -> str:
        """The state that may be taken over: never completed or error, which come from closing the run alone."""
        return UNTIL_CLOSED.get(self.state, self.state)


@dataclass(frozen=True)
class Ending:
    """How a run ended, and how many results must be here before it reads so."""

    state: str
    at: datetime
    expected_results: int
    reason: str = ""


@dataclass(frozen=True)
class Tally:
    """Counts of results, and their scores as far as they have one."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    score_sum: Decimal = Decimal(0)
    score_count: int = 0

    @property
    def results(self) -> int:
        """Results in all."""
        return self.passed + self.failed + self.errors

    @property
    def pass_rate(self) -> float | None:
        """Passed / all; None before the first."""
        return self.passed / self.results if self.results else None

    @property
    def average_score(self) -> float | None:
        """Mean of the scores; None without any."""
        return float(self.score_sum / self.score_count) if self.score_count else None

    def of(self, status: str | None) -> int:
        """Results of one status; of all for None."""
        return {None: self.results, PASSED: self.passed, FAILED: self.failed, ERROR: self.errors}[status]

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.errors + other.errors,
            self.score_sum + other.score_sum,
            self.score_count + other.score_count,
        )


@dataclass(frozen=True)
class Run:
    """A run as it is read. `last_seq` numbers its newest event; `ending` is what RunFinished told, kept until it closes."""

    id: UUID
    workspace_id: UUID
    subject_id: UUID
    target_id: UUID | None
    state: str
    triggered_by: str
    total_cases: int
    tags: tuple[str, ...]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    reason: str
    tally: Tally
    last_seq: int
    ending: Ending | None
    closed: bool

    @property
    def status(self) -> str:
        """What callers read: a run that is being cancelled reads so at once."""
        return CANCELLED if self.state == CANCELLING else self.state

    @property
    def is_due(self) -> bool:
        """Whether it ended and its last expected result is here."""
        return not self.closed and self.ending is not None and self.tally.results >= self.ending.expected_results

    def is_news(self, news: News) -> bool:
        """Whether the runner knows more than is known here."""
        if self.closed:
            return False
        return _later(news.open_state, self.state) or (self.started_at is None and news.started_at is not None)

    def learning(self, news: News) -> "Run":
        """Takes over what the runner says, never backwards, and nothing once closed."""
        if not self.is_news(news):
            return self
        state = news.open_state if _later(news.open_state, self.state) else self.state
        return replace(self, state=state, started_at=self.started_at or news.started_at)

    def with_results(self, added: Tally) -> "Run":
        """Counts results that proved new, each an event; a run that has results is running."""
        state = RUNNING if self.state in (PENDING, STARTING) and added.results else self.state
        return replace(self, state=state, tally=self.tally + added, last_seq=self.last_seq + added.results)

    def ended(self, ending: Ending) -> "Run":
        """Keeps how it ended; it reads so once it closes."""
        return self if self.closed or self.ending else replace(self, ending=ending)

    def closing(self) -> "Run":
        """The run in its final state, with one event more. Only where `is_due`."""
        if self.ending is None:
            raise ValueError("a run closes only after it ended")
        return replace(
            self,
            state=self.ending.state,
            completed_at=self.ending.at,
            reason=self.ending.reason,
            last_seq=self.last_seq + 1,
            closed=True,
        )

    def as_accepted(self) -> "Run":
        """The run as it was before anything happened to it: what its first event tells, whenever that is read."""
        return replace(self, state=PENDING, started_at=None, completed_at=None, tally=Tally(), last_seq=0, ending=None, closed=False)


def accepted(news: News) -> Run:
    """A run that is heard of for the first time: its event 1 tells of that."""
    return Run(
        id=news.id,
        workspace_id=news.workspace_id,
        subject_id=news.subject_id,
        target_id=news.target_id,
        state=news.open_state,
        triggered_by=news.triggered_by,
        total_cases=news.total_cases,
        tags=news.tags,
        created_at=news.created_at,
        started_at=news.started_at,
        completed_at=None,
        reason="",
        tally=Tally(),
        last_seq=1,
        ending=None,
        closed=False,
    )


def _later(state: str, than: str) -> bool:
    return OPEN_STATES.index(state) > OPEN_STATES.index(than)


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

    @property
    def key(self) -> tuple[UUID, int, str]:
        """What makes it one and the same result, however often it is heard of."""
        return self[:3]


@dataclass(frozen=True)
class Block:
    """What was added to the results of 1,000 neighbouring ords of a run."""

    workspace_id: UUID
    run_id: UUID
    block: int
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


def status_filter(wanted: str | None) -> str | None:
    """The status that results are filtered by, None for all. Raises Invalid for one that doesn't exist."""
    if wanted is not None and wanted not in RESULT_STATUSES:
        raise Invalid({"status": f"must be one of {', '.join(RESULT_STATUSES)}"})
    return wanted
