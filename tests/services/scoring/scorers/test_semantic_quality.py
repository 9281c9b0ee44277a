"""semantic_quality: a judge's decisions weighted, and the heuristic that stands in."""

import pytest

from services.scoring.entities import Cosine, Endpoint, JudgeAnswer, JudgeError
from services.scoring.scorers import semantic_quality
from tests.services.scoring.items import an_item

METHOD = "semantic_quality"
JUDGE = Endpoint("http://127.0.0.1:1/v1", "m")


def an_answer(**decided: bool) -> JudgeAnswer:
    names = ("answers_question", "consistent_with_expected", "complete", "no_contradiction")
    return JudgeAnswer({"reasoning": "Says four days.", **{name: decided.get(name, True) for name in names}}, {"model": "m"})


@pytest.mark.parametrize(
    ("decided", "share", "status"),
    [
        ({}, 1.0, "passed"),
        ({"complete": False}, 0.85, "passed"),
        ({"answers_question": False, "complete": False}, 0.7, "passed"),
        ({"no_contradiction": False}, 0.65, "failed"),
        ({"consistent_with_expected": False}, 0.65, "failed"),
        ({"consistent_with_expected": False, "no_contradiction": False, "complete": False, "answers_question": False}, 0.0, "failed"),
    ],
)
def test_a_judges_decisions_are_weighted(decided: dict[str, bool], share: float, status: str) -> None:
    score = semantic_quality.judged(an_item(METHOD, judge=JUDGE), an_answer(**decided))
    assert (score.score, score.status, score.method, score.provenance) == (share, status, "llm_judge", {"model": "m"})


def test_the_reason_tells_what_does_not_hold_and_what_the_judge_said() -> None:
    score = semantic_quality.judged(an_item(METHOD), an_answer(complete=False, no_contradiction=False))
    assert score.reason == "not true that the answer is complete, is free of contradiction; the judge: Says four days."


def test_the_prompt_asks_for_the_reasoning_before_any_verdict() -> None:
    properties = semantic_quality.prompt(an_item(METHOD)).schema["properties"]
    assert isinstance(properties, dict)
    assert next(iter(properties)) == "reasoning"
    assert len(properties) == 5


@pytest.mark.parametrize(
    ("expected", "output", "kind"),
    [
        ("It was approved.", "It was not approved.", "negation_mismatch"),
        ("Take two pills.", "Take ten pills.", "number_mismatch"),
        ("Ask in Paris", "Ask in London", "entity_mismatch"),
    ],
)
def test_with_no_judge_a_contrast_caps_the_cosine_visibly(expected: str, output: str, kind: str) -> None:
    score = semantic_quality.heuristic(an_item(METHOD, expected=expected, output=output, passing_score=0.5), Cosine(0.93))
    assert (score.score, score.status, score.method) == (0.49, "failed", "heuristic_fallback")
    assert score.warnings[0] == semantic_quality.NO_JUDGE
    assert score.warnings[1].startswith(f"{kind}: ")
    assert score.reason.startswith("no judge; similarity 0.93 to the expected text, capped at 0.49: ")


def test_with_no_judge_the_cosine_stands_where_nothing_contrasts() -> None:
    score = semantic_quality.heuristic(an_item(METHOD, output="Money is back in five days."), Cosine(0.8))
    assert (score.score, score.status, score.warnings) == (0.8, "passed", (semantic_quality.NO_JUDGE,))
    assert score.reason == "no judge; similarity 0.80 to the expected text"


def test_a_cap_raises_no_score() -> None:
    assert semantic_quality.heuristic(an_item(METHOD, expected="two", output="ten"), Cosine(0.2)).score == 0.2


def test_a_required_judge_that_is_missing_leaves_the_item_unscored() -> None:
    score = semantic_quality.unscored(an_item(METHOD, require_judge=True))
    assert (score.status, score.score, score.error) == ("unscored", None, semantic_quality.NEEDS_JUDGE)


def test_a_failed_judge_is_an_error_that_tells_how_it_was_tried() -> None:
    score = semantic_quality.failed(an_item(METHOD, judge=JUDGE), JudgeError("it is down", {"model": "m"}))
    assert (score.status, score.score, score.method) == ("error", None, "llm_judge")
    assert (score.error, score.provenance) == ("the judge gave no verdict: it is down", {"model": "m"})
