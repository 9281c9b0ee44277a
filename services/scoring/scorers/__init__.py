"""The scorers by test method, asked in batches: every item that goes in comes out scored, if only as an error."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from services.scoring.entities import Cosine, Endpoint, Item, JudgeAnswer, JudgePrompt, Score, failure
from services.scoring.scorers import exact_match, keyword_match, semantic_quality, similarity

METHODS = ("exact_match", "keyword_match", "similarity", "semantic_quality")

_DETERMINISTIC: Mapping[str, tuple[str, Callable[[Item], Score]]] = {
    "exact_match": (exact_match.SCORER, exact_match.score),
    "keyword_match": (keyword_match.SCORER, keyword_match.score),
}


class ComparesTexts(Protocol):
    """What embeds: services.scoring.embedding.Embedder."""

    async def similarities(self, pairs: Sequence[tuple[str, str]]) -> list[Cosine]:
        """The cosine of each pair."""


class Asks(Protocol):
    """What judges: services.scoring.judge.Judge."""

    async def ask(self, endpoint: Endpoint, prompt: JudgePrompt) -> JudgeAnswer:
        """The verdict; raises JudgeError."""


class Scorers:
    """Scores items by their method. A fault of one item is that item's error score and leaves the others alone."""

    def __init__(self, embedder: ComparesTexts, judge: Asks) -> None:
        self._embedder = embedder
        self._judge = judge

    async def score(self, items: Sequence[Item]) -> list[Score]:
        """One score per item, in their order. Raises nothing but cancellation."""
        scores: dict[int, Score] = {}
        compared, judged = [], []
        for index, item in enumerate(items):
            if _needs_judge(item):
                judged.append(index)
            elif _needs_cosine(item):
                compared.append(index)
            else:
                scores[index] = _without_model(item)
        by_cosine, by_judge = await asyncio.gather(
            self._compare([items[i] for i in compared]), asyncio.gather(*(self._judged(items[i]) for i in judged))
        )
        scores |= dict(zip(compared, by_cosine, strict=True)) | dict(zip(judged, by_judge, strict=True))
        return [scores[index] for index in range(len(items))]

    async def _judged(self, item: Item) -> Score:
        try:
            if item.judge is None:
                return semantic_quality.unscored(item)
            return semantic_quality.judged(item, await self._judge.ask(item.judge, semantic_quality.prompt(item)))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is this item's alone
            return semantic_quality.failed(item, error)

    async def _compare(self, items: Sequence[Item]) -> list[Score]:
        if not items:
            return []
        try:
            cosines = await self._embedder.similarities([(item.expected, item.output) for item in items])
        except Exception as error:  # noqa: BLE001 - one unreadable text fails the batch: it is found by trying each alone
            if len(items) == 1:
                return [_not_compared(items[0], error)]
            return [score for item in items for score in await self._compare([item])]
        return [_by_cosine(item, cosine) for item, cosine in zip(items, cosines, strict=True)]


def _needs_judge(item: Item) -> bool:
    return item.method == "semantic_quality" and (item.judge is not None or item.require_judge)


def _needs_cosine(item: Item) -> bool:
    return item.method in {"similarity", "semantic_quality"}


def _without_model(item: Item) -> Score:
    scorer, score = _DETERMINISTIC.get(item.method, ("none@1", _unknown))
    try:
        return score(item)
    except Exception as error:  # noqa: BLE001 - whatever it was, it is this item's alone
        return failure(item, "deterministic", scorer, _told(error))


def _unknown(item: Item) -> Score:
    return failure(item, "deterministic", "none@1", f"unknown test method {item.method!r}; known are {', '.join(METHODS)}")


def _by_cosine(item: Item, cosine: Cosine) -> Score:
    try:
        return similarity.score(item, cosine) if item.method == "similarity" else semantic_quality.heuristic(item, cosine)
    except Exception as error:  # noqa: BLE001 - whatever it was, it is this item's alone
        return _not_compared(item, error)


def _not_compared(item: Item, error: Exception) -> Score:
    if item.method == "similarity":
        return similarity.failed(item, _told(error))
    return semantic_quality.failed(item, error)


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
