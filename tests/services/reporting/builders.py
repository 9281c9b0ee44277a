"""Makes what reporting hears, showing only what matters to a test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from assay.catalog.internal.v1 import events_pb2 as catalog_events
from assay.runner.internal.v1 import events_pb2 as runner_events, runner_pb2
from assay.scoring.internal.v1 import events_pb2 as scoring_events
from services.reporting.entities.runs import Ending, Run, Subject, Tally
from shared.consumer import Received
from shared.ids import new_id
from shared.json_values import struct

ACCEPTED_AT = datetime(2026, 11, 3, 9, 30, 0, 250_000, tzinfo=UTC)
STARTED_AT = ACCEPTED_AT + timedelta(seconds=2)
ENDED_AT = ACCEPTED_AT + timedelta(seconds=75)


def timestamp(at: datetime) -> Timestamp:
    told = Timestamp()
    told.FromDatetime(at)
    return told


@dataclass(frozen=True)
class Facts:
    """A run as the tests think of it; each has ids of its own."""

    id: UUID = field(default_factory=new_id)
    workspace: UUID = field(default_factory=new_id)
    test_set: UUID = field(default_factory=new_id)
    context: UUID = field(default_factory=new_id)
    total: int = 4
    tags: tuple[str, ...] = ()
    created_at: datetime = ACCEPTED_AT
    family: str = "test_set"
    group_key: str = ""
    evaluators: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def but(self, **changes: Any) -> "Facts":
        return replace(self, **changes)

    def state(self, state: str = "running", started_at: datetime | None = STARTED_AT, **more: Any) -> runner_pb2.RunState:
        ended = {"completed_at": timestamp(ENDED_AT)} if state in {"completed", "error", "cancelled"} else {}
        return runner_pb2.RunState(
            id=str(self.id),
            workspace_id=str(self.workspace),
            subject_id=str(self.test_set),
            target_id=str(self.context),
            family=self.family,
            group_key=self.group_key,
            evaluators=self.evaluators,
            details=struct(self.details),
            state=state,
            total_cases=self.total,
            tags=self.tags,
            created_at=timestamp(self.created_at),
            started_at=None if started_at is None else timestamp(started_at),
            **{"triggered_by": "api", **ended, **more},
        )

    def started(self) -> runner_events.RunStarted:
        return runner_events.RunStarted(run=self.state("pending", started_at=None))

    def scored(self, *cases: scoring_events.ScoredCase) -> scoring_events.CasesScored:
        return scoring_events.CasesScored(workspace_id=str(self.workspace), run_id=str(self.id), cases=cases)

    def finished(self, expected: int | None = None, state: str = "completed", **more: Any) -> runner_events.RunFinished:
        return runner_events.RunFinished(run=self.state(state, **more), expected_results=self.total if expected is None else expected)

    def deleted(self) -> runner_events.RunDeleted:
        return runner_events.RunDeleted(workspace_id=str(self.workspace), run_id=str(self.id), deleted_at=timestamp(ENDED_AT))

    def set_deleted(self) -> catalog_events.SubjectDeleted:
        return catalog_events.SubjectDeleted(workspace_id=str(self.workspace), subject_id=str(self.test_set))


def case_id(ord_: int) -> UUID:
    """The same case in every run."""
    return UUID(int=0xC0FFEE << 64 | ord_)


def scored(
    ord_: int,
    status: str = "passed",
    value: float | None = None,
    *,
    executed: dict[str, Any] | None = None,
    score: dict[str, Any] | None = None,
) -> scoring_events.ScoredCase:
    """One case, judged once: without more said, its score is 1 where it passed, 0.25 where it failed, absent otherwise."""
    return scoring_events.ScoredCase(
        executed=runner_events.ExecutedCase(
            **{
                "ord": ord_,
                "case_id": str(case_id(ord_)),
                "repeat": 1,
                "question": f"question {ord_}",
                "expected": f"answer {ord_}",
                "output": f"answer {ord_}",
                "test_method": "exact_match",
                "passing_score": 0.7,
                "execution_time_ms": 12,
                "attempts": 1,
                **(executed or {}),
            }
        ),
        scores=[a_score(status, value, **(score or {}))],
    )


def judged(
    ord_: int = 0, *scores: scoring_events.Score, record: dict[str, Any] | None = None, **executed: Any
) -> scoring_events.ScoredCase:
    """One case of another family than that of test sets: by the run's evaluators, with a record of its execution."""
    case = scored(ord_, executed={"test_method": "", "record": struct(record or {}), **executed})
    del case.scores[:]
    case.scores.extend(scores or [a_score(evaluator="recorded", method="deterministic")])
    return case


def a_score(status: str = "passed", value: float | None = None, **more: Any) -> scoring_events.Score:
    """What one evaluator found."""
    known = {"passed": 1.0, "failed": 0.25}.get(status)
    return scoring_events.Score(
        **{
            "evaluator": "exact_match",
            "status": status,
            "value": value if value is not None else known,
            "method": "deterministic",
            "threshold": 0.7,
            "reason": "equal" if status == "passed" else "not equal",
            "error": "no verdict" if known is None else None,
            "scored_by": "exact_match@1",
            "scored_at": timestamp(ENDED_AT),
            **more,
        }
    )


@dataclass
class Numbers:
    """Numbers events as their producers would: densely by topic."""

    last: dict[type[Message], int] = field(default_factory=dict)

    def heard(self, *messages: Message) -> list[Received]:
        return [Received(self._next(message), message) for message in messages]

    def _next(self, message: Message) -> int:
        self.last[type(message)] = self.last.get(type(message), 0) + 1
        return self.last[type(message)]


def a_run(state: str = "running", **more: Any) -> Run:
    """A projected run."""
    known: dict[str, Any] = {
        "id": new_id(),
        "workspace_id": new_id(),
        "subject": Subject(new_id(), new_id()),
        "state": state,
        "triggered_by": "api",
        "total_cases": 4,
        "tags": (),
        "created_at": ACCEPTED_AT,
        "started_at": STARTED_AT,
        "completed_at": None,
        "reason": "",
        "tally": Tally(),
        "last_seq": 1,
        "ending": None,
        "closed": False,
    }
    return Run(**{**known, **more})


def an_ending(expected: int, state: str = "completed") -> Ending:
    return Ending(state, ENDED_AT, expected)


def in_parts(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
