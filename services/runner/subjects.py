"""What the catalog opened, and the run that becomes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from assay.catalog.internal.v1 import catalog_pb2
from services.runner.entities import NO_TARGET, RUNNING, Run, Target
from shared.errors import EmptySet

MAX_OPENED_CASES = 100_000
EMPTY = {
    "dataset": "the dataset has no test cases",
    "run_test": "the scenarios have no cases",
}


@dataclass(frozen=True)
class Opened:
    """A subject of a family, and its cases in order; see the message Subject."""

    family: str
    subject_id: UUID
    group_key: str
    target_id: UUID | None
    mode: str
    language: str
    target: Target | None
    simulator: Target | None
    evaluators: tuple[Mapping[str, Any], ...]
    details: Mapping[str, Any]
    cases: Sequence[catalog_pb2.Case]


@dataclass(frozen=True)
class Recording:
    """What a client says of one case: an output, or the error that stands in its place; `record` as in ExecutedCase."""

    output: str | None
    error: str | None = None
    execution_time_ms: int | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


def opened_run(
    opened: Opened,
    run_id: UUID,
    workspace: UUID,
    triggered_by: str,
    now: datetime,
    details: Mapping[str, Any],
    tags: tuple[str, ...],
) -> Run:
    """A running run: its cases are written with it. Raises EmptySet."""
    if not opened.cases:
        raise EmptySet(EMPTY.get(opened.family, "there is nothing to run"))
    target = opened.target or NO_TARGET
    return Run(
        id=run_id,
        workspace_id=workspace,
        subject_id=opened.subject_id,
        target_id=opened.target_id,
        revision=0,
        mode=opened.mode,
        language=opened.language or "en",
        target=target,
        state=RUNNING,
        triggered_by=triggered_by,
        tags=tags,
        case_count=len(opened.cases),
        repeats=1,
        total_cases=len(opened.cases),
        slots=target.max_concurrency,
        created_at=now,
        started_at=now,
        family=opened.family,
        group_key=opened.group_key,
        evaluators=opened.evaluators,
        simulator=opened.simulator,
        details={**opened.details, **details},
    )
