"""What becomes of a case by all its evaluators together."""

import pytest

from assay.runner.internal.v1.events_pb2 import ExecutedCase
from assay.scoring.internal.v1.events_pb2 import CasesScored, Score, ScoredCase
from services.runner import convert
from services.runner.entities import Outcome


def judged(*scores: Score) -> Outcome:
    event = CasesScored(cases=[ScoredCase(executed=ExecutedCase(ord=7), scores=scores)])
    return convert.outcomes(event)[7]


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        (["passed"], "passed"),
        (["passed", "passed"], "passed"),
        (["passed", "failed"], "failed"),
        (["failed", "passed"], "failed"),
        (["failed", "error", "passed"], "error"),
        (["passed", "unscored"], "error"),
        (["not_applicable", "failed"], "error"),
    ],
)
def test_an_error_outweighs_a_failure_and_a_failure_a_pass(statuses: list[str], outcome: str) -> None:
    found = judged(*(Score(status=status) for status in statuses))
    assert (found.status, found.results, found.score) == (outcome, len(statuses), None)


def test_the_score_is_the_mean_of_those_that_have_one() -> None:
    found = judged(Score(status="passed", value=1.0), Score(status="failed", value=0.0), Score(status="error"))
    assert found == Outcome("error", 0.5, 3)
