"""The rules of runs and their counts."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from services.reporting.convert import events as convert
from services.reporting.entities.results import status_filter
from services.reporting.entities.runs import OPEN_STATES, Run, Tally, accepted
from shared.errors import Invalid
from tests.services.reporting.builders import ENDED_AT, STARTED_AT, Facts, a_run, an_ending

ANY_STATE = [*OPEN_STATES, "completed", "error", "cancelled"]


@pytest.mark.parametrize(
    ("run", "status"),
    [
        (a_run("pending"), "pending"),
        (a_run("running"), "running"),
        (a_run("cancelling"), "cancelled"),
        (a_run("running", ending=an_ending(3)), "running"),
        (a_run("completed", closed=True), "completed"),
        (a_run("cancelled", closed=True), "cancelled"),
    ],
)
def test_a_run_reads_cancelled_at_once_and_completed_only_when_closed(run: Run, status: str) -> None:
    assert run.status == status


@pytest.mark.parametrize(
    ("known", "said", "learned"),
    [
        ("pending", "running", "running"),
        ("pending", "starting", "starting"),
        ("running", "starting", "running"),
        ("cancelling", "running", "cancelling"),
        ("running", "cancelling", "cancelling"),
        ("running", "cancelled", "cancelling"),
        ("running", "completed", "running"),
        ("starting", "error", "starting"),
    ],
)
def test_what_the_runner_says_moves_a_run_forward_only(known: str, said: str, learned: str) -> None:
    assert a_run(known).learning(convert.news(Facts().state(said))).state == learned


@given(st.lists(st.sampled_from(ANY_STATE)))
def test_no_sequence_of_news_takes_a_run_back_or_ends_it(said: list[str]) -> None:
    run = a_run("pending", started_at=None)
    for state in said:
        later = run.learning(convert.news(Facts().state(state)))
        assert OPEN_STATES.index(later.state) >= OPEN_STATES.index(run.state)
        assert not later.closed
        run = later


def test_the_first_start_that_was_told_stays() -> None:
    run = a_run("pending", started_at=None).learning(convert.news(Facts().state("running", started_at=STARTED_AT)))
    assert run.learning(convert.news(Facts().state("cancelling", started_at=ENDED_AT))).started_at == STARTED_AT


def test_a_closed_run_learns_nothing() -> None:
    run = a_run("completed", closed=True, started_at=None)
    assert run.learning(convert.news(Facts().state("cancelling"))) is run
    assert run.ended(an_ending(9)) is run


def test_a_run_with_results_is_running() -> None:
    assert a_run("pending").with_results(Tally(passed=1)).state == "running"
    assert a_run("pending").with_results(Tally()).state == "pending"
    assert a_run("cancelling").with_results(Tally(passed=1)).state == "cancelling"


@pytest.mark.parametrize(("results", "expected", "due"), [(0, 0, True), (2, 3, False), (3, 3, True), (4, 3, True)])
def test_a_run_is_due_when_its_last_expected_result_is_here(results: int, expected: int, due: bool) -> None:  # noqa: FBT001 a table's column
    run = a_run(tally=Tally(passed=results))
    assert run.ended(an_ending(expected)).is_due is due
    assert not run.is_due
    assert not replace(run.ended(an_ending(expected)), closed=True).is_due


def test_closing_gives_the_final_state_and_the_last_number() -> None:
    run = a_run(tally=Tally(passed=2), last_seq=3).ended(an_ending(2, "cancelled")).closing()
    assert (run.state, run.completed_at, run.last_seq, run.closed) == ("cancelled", ENDED_AT, 4, True)
    with pytest.raises(ValueError, match="after it ended"):
        a_run().closing()


def test_the_first_event_tells_the_same_whenever_it_is_read() -> None:
    facts = Facts()
    early = accepted(convert.news(facts.state("pending", started_at=None)))
    late = early.learning(convert.news(facts.state())).with_results(Tally(passed=4, score_sum=Decimal(4), score_count=4))
    assert late.ended(an_ending(4)).closing().as_accepted() == early.as_accepted()


@pytest.mark.parametrize(
    ("tally", "pass_rate", "average"),
    [
        (Tally(), None, None),
        (Tally(passed=1, failed=2, errors=1), 0.25, None),
        (Tally(errors=2), 0.0, None),
        (Tally(passed=1, failed=1, score_sum=Decimal("1.3"), score_count=2), 0.5, 0.65),
    ],
)
def test_errors_stay_in_the_denominator_of_the_rate_and_not_of_the_score(
    tally: Tally, pass_rate: float | None, average: float | None
) -> None:
    assert (tally.pass_rate, tally.average_score) == (pass_rate, average)


def test_only_statuses_that_exist_can_be_asked_for() -> None:
    assert [status_filter(wanted) for wanted in (None, "passed", "failed", "error")] == [None, "passed", "failed", "error"]
    with pytest.raises(Invalid, match="status"):
        status_filter("unscored")
