"""What changed from one run to another, case by case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.reporting.entities.runs import COMPLETED, ERROR, FAILED, PASSED, Run
from services.reporting.statistics import Pair, Paired, compare


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A case in one run, over its repeats. `content` tells its question and expected response apart from others;
    `judged_by` names methods, scorers and judges of the repeats that were scored, empty if none was.
    """

    test_case_id: UUID
    results: int
    passed: int
    errors: int
    score: float | None
    content: int
    judged_by: str

    @property
    def pass_rate(self) -> float:
        """Passed repeats of all, 0-1."""
        return self.passed / self.results

    @property
    def status(self) -> str:
        """Passed if every repeat passed, error if every one is an error, else failed."""
        if self.passed == self.results:
            return PASSED
        return ERROR if self.errors == self.results else FAILED


@dataclass(frozen=True, slots=True)
class Change:
    """A case that one run passes more often than the other."""

    a: CaseSummary
    b: CaseSummary


@dataclass(frozen=True)
class Comparison:
    """What changed from run_a to run_b. Differences are b - a."""

    run_a: Run
    run_b: Run
    improved: Sequence[Change]
    regressed: Sequence[Change]
    unchanged: int
    only_in_a: int
    only_in_b: int
    paired: Paired
    warnings: Sequence[str]

    @property
    def pass_rate_diff(self) -> float | None:
        """Of the whole runs; None where one has no result."""
        return _difference(self.run_a.tally.pass_rate, self.run_b.tally.pass_rate)

    @property
    def average_score_diff(self) -> float | None:
        """Of the whole runs; None where one has no score."""
        return _difference(self.run_a.tally.average_score, self.run_b.tally.average_score)


def compared(run_a: Run, run_b: Run, cases_a: Mapping[UUID, CaseSummary], cases_b: Mapping[UUID, CaseSummary]) -> Comparison:
    """Pairs two runs by case; changes stand in the order of run_a's cases."""
    shared = [Change(a, cases_b[case_id]) for case_id, a in cases_a.items() if case_id in cases_b]
    improved = [change for change in shared if change.b.pass_rate > change.a.pass_rate]
    regressed = [change for change in shared if change.b.pass_rate < change.a.pass_rate]
    return Comparison(
        run_a=run_a,
        run_b=run_b,
        improved=improved,
        regressed=regressed,
        unchanged=len(shared) - len(improved) - len(regressed),
        only_in_a=len(cases_a) - len(shared),
        only_in_b=len(cases_b) - len(shared),
        paired=compare([Pair(change.a.pass_rate, change.b.pass_rate) for change in shared]),
        warnings=_warnings(run_a, run_b, shared),
    )


def _warnings(run_a: Run, run_b: Run, shared: Sequence[Change]) -> list[str]:
    found = [f"{name} is not completed, but {run.status}" for name, run in (("run_a", run_a), ("run_b", run_b)) if run.status != COMPLETED]
    if not shared:
        return [*found, "the runs share no case"]
    edited = sum(change.a.content != change.b.content for change in shared)
    otherwise = sum(_judged_otherwise(change) for change in shared)
    errors_a, errors_b = sum(change.a.errors > 0 for change in shared), sum(change.b.errors > 0 for change in shared)
    counted = (
        (edited, "another question or expected response in run_b than in run_a"),
        (otherwise, "another method, scorer or judge in run_b than in run_a"),
        (errors_a, "errors in run_a, counted as not passed"),
        (errors_b, "errors in run_b, counted as not passed"),
    )
    return found + [f"{_cases(count)} {fault}" for count, fault in counted if count]


def _judged_otherwise(change: Change) -> bool:
    # A case without a verdict was judged by nobody, which its errors tell.
    return bool(change.a.judged_by and change.b.judged_by) and change.a.judged_by != change.b.judged_by


def _cases(count: int) -> str:
    return "1 shared case has" if count == 1 else f"{count} shared cases have"


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else b - a
