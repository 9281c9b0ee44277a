"""Sentences are numbered by turn, and what a judge quotes is looked for where it says."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.scoring.entities import JudgeAnswer
from services.scoring.localizer import NOWHERE, UNKNOWN_SEGMENT, UNVERIFIED, by_ablation, pointed, prompt, segments
from services.scoring.mapping import Located, Part

TEXT = Located("output", "It costs 3.50 euros. Are you sure?! Yes…\nNo end")
TWO = Located("transcript", "agent: One. Two.\nagent: Three.", (Part(1, 7, 16), Part(3, 24, 30)))


def answer(*places: tuple[str, str]) -> JudgeAnswer:
    return JudgeAnswer({"reasoning": "", "places": [{"segment": segment, "quote": quote} for segment, quote in places]}, {})


def test_a_text_is_cut_into_sentences() -> None:
    assert [TEXT.text[each.start : each.end] for each in segments(TEXT)] == ["It costs 3.50 euros.", "Are you sure?!", "Yes…", "No end"]
    assert [each.id for each in segments(TEXT)] == ["t0.s0", "t0.s1", "t0.s2", "t0.s3"]
    assert segments(Located("output", "  \n ")) == []


def test_sentences_are_numbered_by_turn_and_labels_are_none() -> None:
    assert [(each.id, TWO.text[each.start : each.end]) for each in segments(TWO)] == [
        ("t1.s0", "One."),
        ("t1.s1", "Two."),
        ("t3.s0", "Three."),
    ]


def test_the_judge_sees_the_numbered_sentences() -> None:
    assert prompt("polite", "rude", TWO).texts["segments"] == "[t1.s0] One.\n[t1.s1] Two.\n[t3.s0] Three."


QUOTES: list[tuple[str, str, Any]] = [
    ("t0.s0", "3.50 euros", ("3.50 euros", "exact")),
    ("t0.s0", "It costs 3,50 euros", ("It costs 3.50 euros", "fuzzy")),
    ("t0.s1", "3.50 euros", ("Are you sure?!", "none")),
    ("t0.s0", "No end", ("It costs 3.50 euros.", "none")),
    ("t0.s1", "", ("Are you sure?!", "none")),
    ("t0.s1", "Are you sure?! " * 20, ("Are you sure?!", "none")),
]


@pytest.mark.parametrize(("segment", "quote", "found"), QUOTES, ids=range(len(QUOTES)))
def test_a_quote_is_verified_in_its_segment(segment: str, quote: str, found: tuple[str, str]) -> None:
    located = pointed(TEXT, answer((segment, quote)))
    [evidence] = located.evidence
    assert (evidence.quote, evidence.match, evidence.found_by) == (*found, "judge")
    assert TEXT.text[evidence.start : evidence.end] == evidence.quote
    assert located.warnings == ((UNVERIFIED,) if evidence.match == "none" else ())


def test_a_segment_that_isnt_there_is_told_and_a_repetition_is_not() -> None:
    located = pointed(TEXT, answer(("t7.s0", "x"), ("t0.s2", "Yes"), ("t0.s2", "Yes")))
    assert [each.quote for each in located.evidence] == ["Yes"]
    assert located.warnings == (UNKNOWN_SEGMENT,)


async def test_the_sentence_that_spoils_most_comes_first() -> None:
    async def values(texts: Sequence[str]) -> list[float | None]:
        return [1 - text.count("bad") / 4 for text in texts]

    located = Located("output", "A bad one. A fine one. A bad, bad one.")
    found = await by_ablation(located, 0.25, values)
    assert [(each.quote, each.found_by) for each in found.evidence] == [("A bad, bad one.", "ablation"), ("A bad one.", "ablation")]


async def test_where_no_sentence_matters_none_is_blamed() -> None:
    async def values(texts: Sequence[str]) -> list[float | None]:
        return [None] * len(texts)

    assert await by_ablation(TEXT, 0.0, values) == await by_ablation(TEXT, 0.0, values)
    assert (await by_ablation(TEXT, 0.0, values)).warnings == (NOWHERE,)
