"""What may be asked to be run, and what becomes of it."""

import pytest

from services.runner.wishes import Subject, Wish, new_run
from shared.errors import EmptySet, Invalid
from shared.ids import new_id
from tests.services.runner.house import NOW, a_target


def a_wish(**said: object) -> Wish:
    return Wish(new_id(), new_id(), **said)  # type: ignore[arg-type]


def a_subject(case_count: int = 5, mode: str = "independent", max_concurrency: int = 8) -> Subject:
    return Subject(3, case_count, mode, "en", a_target(max_concurrency=max_concurrency))


def test_a_new_run_takes_the_smaller_of_both_limits() -> None:
    subject = a_subject(max_concurrency=8)
    made = [new_run(a_wish(max_concurrency=wished), subject, (new_id(), new_id()), NOW).slots for wished in (None, 3, 100)]
    assert made == [8, 3, 8]


def test_repeats_multiply_cases() -> None:
    run = new_run(a_wish(repeats=4), a_subject(5), (new_id(), new_id()), NOW)
    assert (run.total_cases, run.case_count, run.repeats, run.state) == (20, 5, 4, "pending")


def test_a_set_without_cases_cannot_be_run() -> None:
    with pytest.raises(EmptySet):
        new_run(a_wish(), a_subject(0), (new_id(), new_id()), NOW)


@pytest.mark.parametrize(
    ("subject", "repeats", "field"),
    [
        (a_subject(201, "scenario"), 1, "test_set_id"),
        (a_subject(1_000_001), 1, "repeats"),
        (a_subject(10_001), 100, "repeats"),
    ],
)
def test_a_run_that_is_too_large_is_refused(subject: Subject, repeats: int, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        new_run(a_wish(repeats=repeats), subject, (new_id(), new_id()), NOW)
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize(("subject", "repeats"), [(a_subject(200, "scenario"), 1), (a_subject(1_000_000), 1), (a_subject(10_000), 100)])
def test_the_largest_run_is_taken(subject: Subject, repeats: int) -> None:
    assert new_run(a_wish(repeats=repeats), subject, (new_id(), new_id()), NOW).total_cases <= 1_000_000


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        (a_wish(repeats=0), ["repeats"]),
        (a_wish(repeats=101), ["repeats"]),
        (a_wish(max_concurrency=0), ["max_concurrency"]),
        (a_wish(max_concurrency=10_001), ["max_concurrency"]),
        (a_wish(tags=("",)), ["tags[0]"]),
        (a_wish(tags=("ok", "x" * 256)), ["tags[1]"]),
        (a_wish(tags=("x",) * 51), ["tags"]),
        (a_wish(repeats=-1, max_concurrency=-1, tags=("",)), ["repeats", "max_concurrency", "tags[0]"]),
    ],
)
def test_each_wrong_field_is_named(wish: Wish, fields: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        wish.check()
    assert list(caught.value.fields) == fields
