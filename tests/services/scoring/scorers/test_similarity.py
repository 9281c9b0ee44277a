"""similarity: the cosine as a score, with warnings for what it cannot see."""

import pytest

from services.scoring.entities import Cosine
from services.scoring.scorers import similarity
from tests.services.scoring.items import an_item

METHOD = "similarity"


def test_the_cosine_is_the_score_and_the_threshold_decides() -> None:
    passed = similarity.score(an_item(METHOD, output="Money comes back soon."), Cosine(0.7))
    failed = similarity.score(an_item(METHOD, output="Money comes back soon."), Cosine(0.6999))
    assert (passed.status, passed.score, passed.method) == ("passed", 0.7, "embedding")
    assert (failed.status, failed.threshold) == ("failed", 0.7)
    assert failed.reason == "cosine similarity 0.70 to the expected text"


@pytest.mark.parametrize(
    ("expected", "output", "warning"),
    [
        ("It was approved.", "It was not approved.", "negation_mismatch: 'approved' is negated in the answer but not in the expected text"),
        ("Take two pills.", "Take ten pills.", "number_mismatch: the expected number 'two' is missing from the answer, which has 'ten'"),
    ],
)
def test_what_a_cosine_can_not_see_is_a_warning_and_costs_nothing(expected: str, output: str, warning: str) -> None:
    score = similarity.score(an_item(METHOD, expected=expected, output=output), Cosine(0.93))
    assert (score.status, score.score, score.warnings) == ("passed", 0.93, (warning,))


def test_other_names_are_not_flagged_here() -> None:
    assert similarity.score(an_item(METHOD, expected="Ask in Paris", output="Ask in London"), Cosine(0.8)).warnings == ()


def test_an_empty_answer_scores_zero_whatever_its_cosine() -> None:
    score = similarity.score(an_item(METHOD, output=" "), Cosine(0.51))
    assert (score.score, score.status, score.reason) == (0.0, "failed", "the answer is empty")


def test_a_text_read_in_part_is_warned_of() -> None:
    assert similarity.TRUNCATED in similarity.score(an_item(METHOD), Cosine(0.9, truncated=True)).warnings
