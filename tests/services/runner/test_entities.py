"""Rules of runs that need no fixture."""

import pytest
from hypothesis import given, strategies as st

from services.runner.entities import Range
from shared.errors import WrongState
from tests.services.runner.house import a_run, a_target


@pytest.mark.parametrize(
    ("kind", "mode", "slots", "cases", "size", "outstanding"),
    [
        ("openai", "independent", 1, 100, 1, 2),
        ("openai", "independent", 7, 100, 1, 14),
        ("openai", "independent", 8, 100, 2, 8),
        ("openai", "independent", 100, 100, 25, 8),
        ("openai", "independent", 300, 1000, 64, 10),
        ("builtin", "independent", 1, 100, 64, 16),
        ("builtin", "scenario", 3, 20, 20, 3),
        ("openai", "scenario", 100, 4, 4, 100),
        ("openai", "conversation", 100, 1000, 6, 17),
        ("http", "scenario", 1, 7, 7, 1),
    ],
)
def test_size_and_number_of_tickets(kind: str, mode: str, slots: int, cases: int, size: int, outstanding: int) -> None:
    run = a_run(cases, mode=mode, slots=slots, target=a_target(kind=kind))
    assert (run.ticket_cases, run.outstanding) == (size, outstanding)


@given(
    case_count=st.integers(1, 300),
    repeats=st.integers(1, 5),
    slots=st.integers(1, 600),
    kind=st.sampled_from(["openai", "builtin"]),
    mode=st.sampled_from(["independent", "scenario"]),
)
def test_the_windows_of_a_run_cover_every_case_once(case_count: int, repeats: int, slots: int, kind: str, mode: str) -> None:
    run = a_run(case_count, repeats, slots=slots, mode=mode, target=a_target(kind=kind))
    covered: list[int] = []
    next_ord = 0
    while windows := a_run(case_count, repeats, slots=slots, mode=mode, target=run.target, next_ord=next_ord).windows(run.outstanding - 1):
        [window] = windows
        assert window.first // case_count == window.last // case_count  # never two repeats
        assert window.last - window.first < run.ticket_cases
        covered += range(window.first, window.last + 1)
        next_ord = window.last + 1
    assert covered == list(range(run.total_cases))


@pytest.mark.parametrize(("out", "issued"), [(0, 8), (3, 5), (7, 1), (8, 0), (20, 0)])
def test_a_window_is_filled_up_to_what_may_be_out(out: int, issued: int) -> None:
    run = a_run(100, slots=8, target=a_target(kind="openai"))
    assert run.windows(out) == [Range(2 * each, 2 * each + 1) for each in range(issued)]


def test_nothing_is_issued_past_the_end() -> None:
    assert a_run(10, next_ord=10).windows(0) == []


@pytest.mark.parametrize(
    ("state", "after"), [("pending", "cancelling"), ("running", "cancelling"), ("cancelling", "cancelling"), ("cancelled", "cancelled")]
)
def test_an_open_run_can_be_cancelled_and_a_cancelled_one_again(state: str, after: str) -> None:
    assert a_run(state=state).cancelling().state == after


@pytest.mark.parametrize(("state", "words"), [("completed", "a completed run"), ("error", "a run in error")])
def test_an_ended_run_cannot_be_cancelled(state: str, words: str) -> None:
    with pytest.raises(WrongState, match=words):
        a_run(state=state).cancelling()
