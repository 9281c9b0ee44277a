"""What changed between two runs, by case."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from services.reporting.comparison import CaseSummary, compared
from services.reporting.entities.runs import Run, Tally
from tests.services.reporting.builders import a_run, case_id

COMPLETED = a_run("completed", closed=True, tally=Tally(passed=1))


def a_case(number: int, *statuses: str, content: int = 1, judged_by: str = "deterministic exact_match@1") -> CaseSummary:
    passed, errors = statuses.count("passed"), statuses.count("error")
    return CaseSummary(case_id(number), len(statuses), passed, errors, None, content, "" if errors == len(statuses) else judged_by)


def by_id(cases: Sequence[CaseSummary]) -> dict[UUID, CaseSummary]:
    return {case.test_case_id: case for case in cases}


@pytest.mark.parametrize(
    ("statuses", "status", "rate"),
    [
        (["passed"], "passed", 1.0),
        (["passed", "failed"], "failed", 0.5),
        (["passed", "error"], "failed", 0.5),
        (["failed", "error"], "failed", 0.0),
        (["error", "error"], "error", 0.0),
    ],
)
def test_a_case_is_what_all_its_repeats_are_else_failed(statuses: list[str], status: str, rate: float) -> None:
    case = a_case(0, *statuses)
    assert (case.status, case.pass_rate) == (status, rate)


@pytest.mark.parametrize(
    ("a", "b", "better", "worse"),
    [
        (["failed"], ["passed"], 1, 0),
        (["error"], ["passed"], 1, 0),
        (["passed"], ["error"], 0, 1),
        (["failed"], ["error"], 0, 0),
        (["passed", "failed"], ["passed", "passed"], 1, 0),
        (["passed", "failed"], ["passed", "failed", "passed", "failed"], 0, 0),
        (["passed", "passed", "failed"], ["passed", "failed"], 0, 1),
    ],
)
def test_a_case_changed_if_its_pass_rate_did(a: list[str], b: list[str], better: int, worse: int) -> None:
    found = compared(COMPLETED, COMPLETED, by_id([a_case(0, *a)]), by_id([a_case(0, *b)]))
    assert (len(found.improved), len(found.regressed), found.unchanged) == (better, worse, 1 - better - worse)


def test_cases_of_one_run_only_are_counted_apart() -> None:
    found = compared(
        COMPLETED, COMPLETED, by_id([a_case(0, "passed"), a_case(1, "passed")]), by_id([a_case(n, "passed") for n in (1, 2, 3)])
    )
    assert (found.unchanged, found.only_in_a, found.only_in_b) == (1, 1, 2)


def test_changes_stand_in_the_order_of_the_first_run() -> None:
    a = by_id([a_case(n, "failed") for n in (5, 1, 3)])
    b = by_id([a_case(n, "passed") for n in (1, 3, 5)])
    assert [change.a.test_case_id for change in compared(COMPLETED, COMPLETED, a, b).improved] == [case_id(n) for n in (5, 1, 3)]


def test_many_changes_for_the_better_are_an_improvement() -> None:
    a = by_id([a_case(n, "failed" if n < 12 else "passed") for n in range(40)])
    b = by_id([a_case(n, "passed") for n in range(40)])
    found = compared(COMPLETED, COMPLETED, a, b)
    assert (found.paired.verdict, compared(COMPLETED, COMPLETED, b, a).paired.verdict) == ("improved", "regressed")


@pytest.mark.parametrize(
    ("run_a", "a", "b", "warnings"),
    [
        (COMPLETED, a_case(0, "passed"), a_case(0, "failed"), []),
        (a_run("running"), a_case(0, "passed"), a_case(0, "passed"), ["run_a is not completed, but running"]),
        (a_run("cancelling"), a_case(0, "passed"), a_case(0, "passed"), ["run_a is not completed, but cancelled"]),
        (COMPLETED, a_case(0, "passed"), a_case(1, "passed"), ["the runs share no case"]),
        (
            COMPLETED,
            a_case(0, "passed"),
            a_case(0, "passed", content=2),
            ["1 shared case has another question or expected response in run_b than in run_a"],
        ),
        (
            COMPLETED,
            a_case(0, "passed", judged_by="llm_judge semantic_quality@1 small at http://judge/v1"),
            a_case(0, "passed", judged_by="heuristic_fallback semantic_quality@1"),
            ["1 shared case has another method, scorer or judge in run_b than in run_a"],
        ),
        (COMPLETED, a_case(0, "error"), a_case(0, "passed"), ["1 shared case has errors in run_a, counted as not passed"]),
    ],
)
def test_what_makes_runs_hard_to_compare_is_said(run_a: Run, a: CaseSummary, b: CaseSummary, warnings: list[str]) -> None:
    assert compared(run_a, COMPLETED, by_id([a]), by_id([b])).warnings == warnings


def test_differences_are_of_the_whole_runs() -> None:
    half, all_ = (a_run("completed", closed=True, tally=Tally(passed=passed, failed=4 - passed)) for passed in (2, 4))
    found = compared(half, all_, {}, {})
    assert (found.pass_rate_diff, found.average_score_diff) == (0.5, None)
