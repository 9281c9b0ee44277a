"""Runs as they are read: their states and counts, and the rules that need only their arguments."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

PENDING, STARTING, RUNNING, CANCELLING = "pending", "starting", "running", "cancelling"
COMPLETED, ERROR, CANCELLED = "completed", "error", "cancelled"
# In the order in which a run passes them; it never goes back.
OPEN_STATES = (PENDING, STARTING, RUNNING, CANCELLING)
PASSED, FAILED = "passed", "failed"
STARTED = "run.started"

# What the runner says of a final run, as far as it is taken over before the last result is here.
UNTIL_CLOSED = {COMPLETED: RUNNING, ERROR: PENDING, CANCELLED: CANCELLING}

# Families of runs.
TEST_SET, ASSISTANT_TEST, DATASET = "test_set", "assistant_test", "dataset"
RUN_TEST, PROMPT_TEST_CASE = "run_test", "prompt_test_case"


@dataclass(frozen=True)
class Subject:
    """What a run executes, for good. `group_key` is what else its family lists it by, `details` what else it shows of it;
    `evaluators` names who judges every case, where the cases don't name their own.
    """

    id: UUID
    target_id: UUID | None
    family: str = TEST_SET
    group_key: str = ""
    evaluators: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    client_driven: bool = False


@dataclass(frozen=True)
class News:
    """What the runner says of a run. `state` may be final; `ended_at` tells since when. `executed_cases` are told only
    where a single run is asked for.
    """

    id: UUID
    workspace_id: UUID
    subject: Subject
    state: str
    triggered_by: str
    total_cases: int
    tags: tuple[str, ...]
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""
    executed_cases: int = 0

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
class Cases:
    """Counts of cases, where several evaluators may judge one: those with results, and those of them with an output."""

    scored: int = 0
    answered: int = 0

    def __add__(self, other: "Cases") -> "Cases":
        return Cases(self.scored + other.scored, self.answered + other.answered)


@dataclass(frozen=True)
class Run:
    """A run as it is read. `last_seq` numbers its newest event; `ending` is what RunFinished told, kept until it closes.
    `cases` are counted in all families but that of test sets, where each case has one result.
    """

    id: UUID
    workspace_id: UUID
    subject: Subject
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
    cases: Cases = Cases()

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

    def with_results(self, added: Tally, cases: Cases | None = None) -> "Run":
        """Counts results that proved new, each an event, and their cases; a run that has results is running."""
        state = RUNNING if self.state in (PENDING, STARTING) and added.results else self.state
        return replace(
            self,
            state=state,
            tally=self.tally + added,
            last_seq=self.last_seq + added.results,
            cases=self.cases + (cases or Cases()),
        )

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
        return replace(
            self, state=PENDING, started_at=None, completed_at=None, tally=Tally(), last_seq=0, ending=None, closed=False, cases=Cases()
        )


def accepted(news: News) -> Run:
    """A run that is heard of for the first time: its event 1 tells of that."""
    return Run(
        id=news.id,
        workspace_id=news.workspace_id,
        subject=news.subject,
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
