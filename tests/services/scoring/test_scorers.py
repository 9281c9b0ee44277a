"""The registry: what goes in comes out, in order, whatever one item does."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.scoring.embedding import Embedder
from services.scoring.entities import Cosine, Endpoint, Item
from services.scoring.judge import Judge
from services.scoring.scorers import METHODS, Scorers
from tests.services.scoring.chat_server import ChatServer, refusal
from tests.services.scoring.items import an_item

HOSTILE = "\ud800"


class NoModel:
    """A model that can't be loaded."""

    async def similarities(self, pairs: Sequence[tuple[str, str]]) -> list[Cosine]:
        raise OSError(f"no model for {len(pairs)}")


@pytest.fixture
def scorers(embedder: Embedder, judge: Judge) -> Scorers:
    return Scorers(embedder, judge)


async def test_every_method_scores_its_items_in_their_order(scorers: Scorers, server: ChatServer) -> None:
    endpoint = Endpoint(server.base_url, "m")
    items = [
        an_item("semantic_quality", judge=endpoint),
        an_item("similarity"),
        an_item("keyword_match", keywords=("refunds",)),
        an_item("semantic_quality"),
        an_item("exact_match"),
        an_item("semantic_quality", require_judge=True),
    ]
    scores = await scorers.score(items)
    assert [(score.scored_by, score.method, score.status) for score in scores] == [
        ("semantic_quality@1", "llm_judge", "passed"),
        ("similarity@1", "embedding", "passed"),
        ("keyword_match@1", "deterministic", "passed"),
        ("semantic_quality@1", "heuristic_fallback", "passed"),
        ("exact_match@1", "deterministic", "passed"),
        ("semantic_quality@1", "heuristic_fallback", "unscored"),
    ]


async def test_nothing_to_score_is_no_score(scorers: Scorers) -> None:
    assert await scorers.score([]) == []


async def test_an_unknown_method_is_an_error(scorers: Scorers) -> None:
    (score,) = await scorers.score([an_item("telepathy")])
    assert (score.status, score.score) == ("error", None)
    assert score.error == f"unknown test method 'telepathy'; known are {', '.join(METHODS)}"


@pytest.mark.parametrize("method", ["similarity", "semantic_quality"])
async def test_a_text_that_can_not_be_read_is_an_error_of_its_item_alone(scorers: Scorers, method: str) -> None:
    good, bad = an_item(method, output="Five days."), an_item(method, output=HOSTILE)
    scores = await scorers.score([good, bad, good])
    assert [score.status == "error" for score in scores] == [False, True, False]
    assert scores[1].score is None


@pytest.mark.parametrize("method", ["exact_match", "keyword_match"])
async def test_a_fault_of_a_scorer_is_an_error_of_its_item_alone(scorers: Scorers, method: str) -> None:
    good = an_item(method, keywords=("days",))
    no_text: Item = replace(good, output=None)  # type: ignore[arg-type]
    scores = await scorers.score([good, no_text, good])
    assert [score.status for score in scores] == ["passed", "error", "passed"]
    assert scores[1].error


async def test_without_a_model_each_of_its_items_says_so(judge: Judge) -> None:
    scores = await Scorers(NoModel(), judge).score([an_item("similarity"), an_item("exact_match"), an_item("semantic_quality")])
    assert [(score.status, score.error) for score in scores] == [("error", "no model for 1"), ("passed", None), ("error", "no model for 1")]


async def test_a_refusing_judge_is_an_error_of_its_items_alone(scorers: Scorers, server: ChatServer) -> None:
    server.answers = [refusal(401)]
    judged = an_item("semantic_quality", judge=Endpoint(server.base_url, "m"))
    scores = await scorers.score([judged, an_item("exact_match")])
    assert [score.status for score in scores] == ["error", "passed"]
    assert scores[0].error == "the judge gave no verdict: the endpoint answered 401: no"
    assert scores[0].provenance is not None
