"""Makes what scoring hears, showing only what matters to a test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from assay.catalog.internal.v1 import parts_pb2
from assay.runner.internal.v1 import events_pb2
from services.scoring.entities import Score
from shared import json_values
from shared.consumer import Received
from shared.ids import new_id

# Numbers never come twice in a session, so tests can share a database.
_NUMBERS = count(1)


@dataclass(frozen=True)
class Facts:
    """A run as the tests think of it; each has ids of its own."""

    id: UUID = field(default_factory=new_id)
    workspace: UUID = field(default_factory=new_id)

    def executed(
        self, *cases: events_pb2.ExecutedCase, language: str = "en", by: Sequence[parts_pb2.Evaluator] = ()
    ) -> events_pb2.CasesExecuted:
        return events_pb2.CasesExecuted(
            workspace_id=str(self.workspace), run_id=str(self.id), language=language, cases=cases, evaluators=by
        )

    def deleted(self) -> events_pb2.RunDeleted:
        return events_pb2.RunDeleted(workspace_id=str(self.workspace), run_id=str(self.id))


def case_id(ord_: int) -> UUID:
    """The same case in every run."""
    return UUID(int=0xC0FFEE << 64 | ord_)


def a_case(ord_: int = 0, output: str | None = "five days", **more: Any) -> events_pb2.ExecutedCase:
    """A case whose answer is the expected one, unless told otherwise; `output=None` leaves it out."""
    known: dict[str, Any] = {
        "ord": ord_,
        "case_id": str(case_id(ord_)),
        "repeat": 1,
        "question": f"question {ord_}",
        "expected": "five days",
        "output": output,
        "test_method": "exact_match",
        "passing_score": 0.7,
        "execution_time_ms": 12,
        "attempts": 1,
    }
    return events_pb2.ExecutedCase(**{**known, **more})


def heard(*messages: Message, deliveries: int = 1) -> list[Received]:
    """Events under numbers of their own, as NATS delivers them for the first time."""
    return [Received(next(_NUMBERS), message, deliveries) for message in messages]


def again(events: Sequence[Received], deliveries: int = 2) -> list[Received]:
    """The same events, delivered once more."""
    return [Received(event.seq, event.message, deliveries) for event in events]


def a_score(status: str = "passed", value: float | None = 1.0, **more: Any) -> Score:
    """A score by exact_match."""
    known: dict[str, Any] = {
        "status": status,
        "score": value,
        "method": "deterministic",
        "threshold": 0.7,
        "reason": "equal to the expected text",
        "scored_by": "exact_match@1",
    }
    return Score(**{**known, **more})


def an_evaluator(
    name: str, template: str = "", *, localize: bool = False, passing_score: float | None = None, **config: Any
) -> parts_pb2.Evaluator:
    """Over the output, unless it is a template that looks at the whole case."""
    template = template or name
    mapping = {} if template in {"rubric_criterion", "tool_call_accuracy"} else {"output": "output"}
    return parts_pb2.Evaluator(
        name=name,
        template=template,
        mapping=mapping,
        config=json_values.struct(config),
        passing_score=passing_score,
        error_localizer=localize,
    )


def a_recorded_case(ord_: int = 0, output: str | None = "five days", error: str | None = None, **record: Any) -> events_pb2.ExecutedCase:
    """A case that names no test method, with what is known of its execution."""
    return a_case(ord_, output, test_method="", passing_score=0.0, error=error, record=json_values.struct(record))
