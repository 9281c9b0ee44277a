"""exact_match: what counts as equal, and how the reason tells a difference."""

import pytest
from hypothesis import given, strategies as st

from services.scoring.scorers import exact_match
from tests.services.scoring.items import an_item


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("Paris", "Paris"),
        ("Paris", "  Paris \n"),
        ("a  b\tc", "a b c"),
        ("a\u00a0b", "a b"),
        ("e\u0301te\u0301", "\u00e9t\u00e9"),
        ("\ufb01ne", "fine"),
        ("\uff21\uff22\uff23", "ABC"),
        ("", " \n"),
    ],
)
def test_texts_equal_after_normalising_pass(expected: str, output: str) -> None:
    score = exact_match.score(an_item(expected=expected, output=output))
    assert (score.status, score.score, score.method, score.scored_by) == ("passed", 1.0, "deterministic", "exact_match@1")


@pytest.mark.parametrize(
    ("expected", "output", "reason"),
    [
        ("Paris", "paris", "differs at character 1: expected 'Paris', got 'paris' (only the case differs)"),
        ("Take 2 pills", "Take 3 pills", "differs at character 6: expected '2 pills', got '3 pills'"),
        ("Paris, France", "Paris", "the answer ends early: ', France' is missing"),
        ("Paris", "Paris, of course", "the answer goes on after the expected text with ', of course'"),
        ("Paris", " ", "the answer is empty"),
        ("a", "a\u200b", "the answer goes on after the expected text with '\\u200b'"),
        ("x" + "y" * 40, "x" + "z" * 40, f"differs at character 2: expected '{'y' * 24}'…, got '{'z' * 24}'…"),
    ],
)
def test_the_reason_tells_the_first_difference(expected: str, output: str, reason: str) -> None:
    score = exact_match.score(an_item(expected=expected, output=output))
    assert (score.status, score.score, score.reason) == ("failed", 0.0, reason)


def test_the_evidence_is_the_span_that_differs() -> None:
    score = exact_match.score(an_item(expected="Take 2 pills", output="Take 3 pills"))
    (span,) = score.evidence
    assert (span.field, span.turn, span.start, span.end, span.quote) == ("output", 0, 5, 12, "3 pills")


def test_a_text_that_normalising_changed_gets_no_misleading_span() -> None:
    assert exact_match.score(an_item(expected="a b", output=" a  c")).evidence == ()


def test_a_passing_score_of_zero_passes_anything() -> None:
    assert exact_match.score(an_item(expected="a", output="b", passing_score=0)).status == "passed"


@given(st.text(), st.text())
def test_the_common_beginning_is_found_wherever_it_ends(one: str, other: str) -> None:
    length = exact_match._common_prefix(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == len(one) == len(other)


@given(st.text())
def test_every_text_equals_itself(text: str) -> None:
    assert exact_match.score(an_item(expected=text, output=text)).status == "passed"
