"""Runs and their cases: what exists, and the rules that need only their arguments."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.errors import WrongState

PENDING, STARTING, RUNNING, CANCELLING = "pending", "starting", "running", "cancelling"
COMPLETED, ERROR, CANCELLED = "completed", "error", "cancelled"
FINAL = frozenset({COMPLETED, ERROR, CANCELLED})

SCENARIO, INDEPENDENT, CONVERSATION = "scenario", "independent", "conversation"
TEST_SET = "test_set"
BUILTIN, CLIENT = "builtin", "client"

TICKET_CASES = 64
BUILTIN_OUTSTANDING = 16
MAX_FREEZE_FAILURES = 5
EXPIRIES_BEFORE_ALONE = 2
MAX_EXPIRIES_ALONE = 5


@dataclass(frozen=True)
class Target:
    """What a run calls, frozen when it was accepted. The secret is never here."""

    connection_id: UUID
    kind: str
    base_url: str
    model: str
    statement: str
    parameters: Mapping[str, Any]
    max_concurrency: int
    requests_per_minute: int
    timeout_ms: int


# Where the client executes the cases there is nothing to call.
NO_TARGET = Target(UUID(int=0), CLIENT, "", "", "", {}, max_concurrency=1, requests_per_minute=0, timeout_ms=0)


def held_for(slots: int, *, conversations: bool) -> int:
    """Cases to hold for so many slots: where each is one call, twice as many, so that the next wait ready; where each is a
    conversation, which takes long, no more, lest one process holds what another could begin.
    """
    return slots if conversations else 2 * slots


@dataclass(frozen=True)
class Run:
    """A run as the runner remembers it."""

    id: UUID
    workspace_id: UUID
    subject_id: UUID
    target_id: UUID | None
    revision: int
    mode: str
    language: str
    target: Target
    state: str
    triggered_by: str
    tags: tuple[str, ...]
    case_count: int
    repeats: int
    total_cases: int
    slots: int
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    reason: str = ""
    next_ord: int = 0
    next_ticket: int = 1
    family: str = TEST_SET
    group_key: str = ""
    evaluators: tuple[Mapping[str, Any], ...] = ()
    simulator: Target | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def client_driven(self) -> bool:
        """Whether the client executes the cases."""
        return self.target.kind == CLIENT

    @property
    def at_once(self) -> bool:
        """Whether the target answers in the worker itself, without a call to wait for."""
        return self.target.kind == BUILTIN and self.mode == INDEPENDENT

    @property
    def final(self) -> bool:
        """Whether it will never change again."""
        return self.state in FINAL

    @property
    def ticket_cases(self) -> int:
        """Cases that one ticket covers; in a scenario one conversation, which is never split."""
        if self.mode == SCENARIO:
            return self.case_count
        if self.at_once:
            return TICKET_CASES
        return min(TICKET_CASES, max(1, self.slots // (16 if self.mode == CONVERSATION else 4)))

    @property
    def outstanding(self) -> int:
        """Tickets that may be out at once: enough that a slot never waits for the next ticket."""
        if self.at_once:
            return BUILTIN_OUTSTANDING
        cases = held_for(self.slots, conversations=self.mode != INDEPENDENT)
        return cases if self.mode == SCENARIO else -(-cases // self.ticket_cases)

    def cancelling(self) -> "Run":
        """The run once a cancel was accepted. Raises WrongState if it is completed or in error."""
        if self.state in (COMPLETED, ERROR):
            word = "completed run" if self.state == COMPLETED else "run in error"
            raise WrongState(f"a {word} can't be cancelled", state=self.state)
        return self if self.state == CANCELLED else replace(self, state=CANCELLING)

    def windows(self, out: int) -> list["Range"]:
        """The tickets to issue when `out` of them are out: consecutive ranges from next_ord on."""
        ranges: list[Range] = []
        first, size = self.next_ord, self.ticket_cases
        while first < self.total_cases and out + len(ranges) < self.outstanding:
            last = min(first + size, self.total_cases) - 1
            if self.mode != SCENARIO:
                # A ticket never spans two repeats, so that the cases of one are not claimed ahead of the other's.
                last = min(last, (first // self.case_count + 1) * self.case_count - 1)
            ranges.append(Range(first, last))
            first = last + 1
        return ranges


@dataclass(frozen=True)
class Range:
    """Ords from first to last, both included."""

    first: int
    last: int

    @property
    def ords(self) -> range:
        """Each of them."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True)
class Ticket:
    """A range of cases that is out for execution."""

    run_id: UUID
    number: int
    range: Range
    epoch: int = 1


@dataclass(frozen=True)
class ClaimedCase:
    """A case that this worker may execute until its lease ends; the fence proves it. `plan` holds what its family adds, by
    name: "simulation", "messages", "content"; None for a test case.
    """

    ord: int
    fence: int
    case_id: UUID
    repeat: int
    question: str
    expected: str
    test_method: str
    passing_score: float
    keywords: tuple[str, ...]
    file_url: str | None
    file_mime_type: str | None
    attempts: int
    plan: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Executed:
    """What became of a claimed case: an output, or the error that stands in its place. `record` is what else is known of the
    execution, by name, as in the message ExecutedCase.
    """

    case: ClaimedCase
    output: str | None = None
    error: str | None = None
    execution_time_ms: int | None = None
    attempts: int = 0
    warnings: tuple[str, ...] = ()
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Turn:
    """An earlier turn of a conversation."""

    question: str
    answer: str


@dataclass(frozen=True)
class Outcome:
    """What became of a scored case: passed, failed or error; the score is 0-1, None where there is none. `results` counts the
    evaluators that judged it.
    """

    status: str
    score: float | None = None
    results: int = 1


@dataclass(frozen=True)
class Counts:
    """Scored cases of a run so far; the mean is over those with a score, None before the first. `results` has one for every
    case and evaluator.
    """

    passed: int = 0
    failed: int = 0
    errors: int = 0
    average_score: float | None = None
    results: int = 0

    @property
    def completed(self) -> int:
        """Scored cases in all."""
        return self.passed + self.failed + self.errors
