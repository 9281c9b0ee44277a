"""What a caller asks to be run, and the run that becomes of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.runner.entities import PENDING, SCENARIO, Run, Target
from shared.errors import EmptySet, Invalid

MAX_SCENARIO_CASES = 200
MAX_TOTAL_CASES = 1_000_000
MAX_REPEATS = 100
MAX_CONCURRENCY = 10_000
MAX_TAGS, MAX_TAG_LENGTH = 50, 255


@dataclass(frozen=True)
class Wish:
    """What a caller asks to be run. None for absent."""

    test_set_id: UUID
    context_id: UUID
    repeats: int | None = None
    max_concurrency: int | None = None
    tags: tuple[str, ...] = ()
    triggered_by: str = "api"

    def check(self) -> None:
        """Raises Invalid naming each wrong field."""
        wrong = self.faults()
        if wrong:
            raise Invalid(wrong)

    def faults(self) -> dict[str, str]:
        """Field → what is wrong with it."""
        wrong: dict[str, str] = {}
        if self.repeats is not None and not 1 <= self.repeats <= MAX_REPEATS:
            wrong["repeats"] = f"must be from 1 to {MAX_REPEATS}"
        if self.max_concurrency is not None and not 1 <= self.max_concurrency <= MAX_CONCURRENCY:
            wrong["max_concurrency"] = f"must be from 1 to {MAX_CONCURRENCY}"
        if len(self.tags) > MAX_TAGS:
            wrong["tags"] = f"must be at most {MAX_TAGS}"
        for index, tag in enumerate(self.tags):
            if not 1 <= len(tag) <= MAX_TAG_LENGTH:
                wrong[f"tags[{index}]"] = f"must have 1 to {MAX_TAG_LENGTH} characters"
        return wrong


@dataclass(frozen=True)
class Subject:
    """A test set and its target as the catalog resolved them."""

    revision: int
    case_count: int
    mode: str
    language: str
    target: Target


def new_run(wish: Wish, subject: Subject, identity: tuple[UUID, UUID], now: datetime) -> Run:
    """A pending run; `identity` is (run id, workspace id). Raises EmptySet, or Invalid for one that would be too large."""
    wish.check()
    repeats = wish.repeats or 1
    if not subject.case_count:
        raise EmptySet("the test set has no cases")
    if subject.mode == SCENARIO and subject.case_count > MAX_SCENARIO_CASES:
        raise Invalid({"test_set_id": f"a scenario of more than {MAX_SCENARIO_CASES} cases can't be run"})
    if subject.case_count * repeats > MAX_TOTAL_CASES:
        raise Invalid({"repeats": f"cases times repeats must be at most {MAX_TOTAL_CASES}"})
    slots = min(subject.target.max_concurrency, wish.max_concurrency or MAX_CONCURRENCY)
    return Run(
        id=identity[0],
        workspace_id=identity[1],
        subject_id=wish.test_set_id,
        target_id=wish.context_id,
        revision=subject.revision,
        mode=subject.mode,
        language=subject.language,
        target=subject.target,
        state=PENDING,
        triggered_by=wish.triggered_by,
        tags=wish.tags,
        case_count=subject.case_count,
        repeats=repeats,
        total_cases=subject.case_count * repeats,
        slots=slots,
        created_at=now,
    )
