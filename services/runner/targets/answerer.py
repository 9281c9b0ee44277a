"""The demo's system under test: answers a question with sentences of a documentation folder.

Pure and deterministic, no network. Two variants of honest quality: `answerer-good` ranks with
BM25 (Robertson and Zaragoza 2009), stemming and headings; `answerer-basic` counts shared words.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

GOOD = "answerer-good"
BASIC = "answerer-basic"
VARIANTS = (GOOD, BASIC)
DONT_KNOW = "I don't know: the documentation says nothing about that."

# The usual BM25 constants; the demo's questions were not used to tune them.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75
# A heading tells the topic of all its sentences, so its words count, but less than a sentence's own.
_HEADING_WEIGHT = 0.5
# The runner-up joins the answer only when it fits nearly as well; otherwise it dilutes the answer.
_SECOND_SHARE = 0.8

_WORD = re.compile(r"[a-z0-9_]+(?:'[a-z]+)?")
_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_ITEM = re.compile(r"(?:[-*+]|\d+\.)\s+(.*)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"])")
_MARKUP = re.compile(r"`|\*\*|\[([^\]]*)\]\([^)]*\)")

_STOP_WORDS = frozenset(
    _WORD.findall(
        """
        a about all also am an and any are as at be been but by can can't could did do does doesn't don't
        for from get gets given had happen happens has have he her his how i i'm if in into is isn't it it's its
        just may me might mine must my no not of off on one or our out own shall should so some than that that's
        the their them then there these they this those to too up us was we were what what's when where whether
        which who whose why will with won't would you your
        """
    )
)
_SUFFIXES = ("ions", "ion", "ings", "ing", "ies", "ied", "ers", "ed", "er", "es", "ly", "s", "e")
_SHORTEST_STEM = 3


@dataclass(frozen=True)
class Passage:
    """One sentence of the documentation, with the headings above it joined by a space."""

    heading: str
    text: str


def passages_of(markdown: str) -> Iterator[Passage]:
    """Yield the sentences of a Markdown page in order; fenced code is left out."""
    headings: list[str] = []
    for level, block in _blocks(markdown):
        if level:
            headings[level - 1 :] = [_plain(block)]
            continue
        for sentence in _SENTENCE_END.split(block):
            yield Passage(" ".join(headings), _plain(sentence))


def _blocks(markdown: str) -> Iterator[tuple[int, str]]:
    """Yield (heading level, its text) or (0, a paragraph or list item on one line)."""
    lines: list[str] = []
    fenced = False
    for raw in [*markdown.splitlines(), ""]:
        line = raw.strip()
        fence = line.startswith("```")
        heading, item = _HEADING.match(line), _ITEM.match(line)
        fenced ^= fence
        if lines and (not line or fence or heading or item):
            yield 0, " ".join(lines)
            lines = []
        if heading and not fenced:
            yield len(heading[1]), heading[2]
        elif line and not fence and not fenced:
            lines.append(item[1] if item else line)


def _plain(text: str) -> str:
    return _MARKUP.sub(lambda found: found[1] or "", text).strip()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def _terms(text: str) -> list[str]:
    """Return the stems of a text; `passing_score` counts as itself and as its two words."""
    terms: list[str] = []
    for word in _words(text):
        parts = [part for part in word.split("_") if part]
        terms += [word] if len(parts) > 1 else []
        terms += [_stem(part) for part in parts if part not in _STOP_WORDS]
    return terms


def _stem(word: str) -> str:
    """Cut one common English ending, then a doubled consonant or a y: cancelled → cancel, queries → quer."""
    word = word.removesuffix("'s")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM and not word.endswith(("ss", "us")):
            word = word.removesuffix(suffix)
            break
    if len(word) <= _SHORTEST_STEM:
        return word
    return word[:-1] if word[-1] == word[-2] else word.removesuffix("y")


class Answerer:
    """Answers from passages that it indexes once; safe to share, since nothing changes afterwards."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        """Index the passages; their order decides ties."""
        self._passages = tuple(passages)
        self._vocabularies = [frozenset(_words(passage.text)) for passage in self._passages]
        self._postings = _postings(self._passages)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read every `*.md` of a folder, by name. FileNotFoundError if it has none."""
        pages = sorted(folder.glob("*.md"))
        if not pages:
            message = f"no Markdown page in {folder}"
            raise FileNotFoundError(message)
        return cls(passage for page in pages for passage in passages_of(page.read_text(encoding="utf-8")))

    def answer(self, question: str, variant: str) -> str:
        """Return the best one or two sentences, or DONT_KNOW. ValueError for an unknown variant."""
        if variant == GOOD:
            found = self._by_relevance(question)
        elif variant == BASIC:
            found = self._by_shared_words(question)
        else:
            message = f"unknown answerer {variant!r}; there are {', '.join(VARIANTS)}"
            raise ValueError(message)
        return " ".join(self._passages[place].text for place in found) or DONT_KNOW

    def _by_relevance(self, question: str) -> Sequence[int]:
        """Return the place of the best passage, and of the second when it is nearly as good."""
        scores: dict[int, float] = defaultdict(float)
        for term in dict.fromkeys(_terms(question)):
            for place, weight in self._postings.get(term, ()):
                scores[place] += weight
        best = sorted(scores, key=lambda place: (-scores[place], place))[:2]
        return [place for place in best if scores[place] >= _SECOND_SHARE * scores[best[0]]]

    def _by_shared_words(self, question: str) -> Sequence[int]:
        """Return the place of the first passage that shares the most words, stop words and all."""
        asked = set(_words(question))
        shared = [len(asked & vocabulary) for vocabulary in self._vocabularies]
        most = max(shared, default=0)
        return [shared.index(most)] if most else []


def _postings(passages: Sequence[Passage]) -> dict[str, list[tuple[int, float]]]:
    """Return for each term the passages with it and their BM25 weight, worked out beforehand."""
    counts = [_counts(passage) for passage in passages]
    lengths = [sum(count.values()) for count in counts]
    average = sum(lengths) / len(lengths) if lengths else 1.0
    holders = Counter(term for count in counts for term in count)
    postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for place, count in enumerate(counts):
        norm = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * lengths[place] / average)
        for term, frequency in count.items():
            rarity = math.log(1 + (len(passages) - holders[term] + 0.5) / (holders[term] + 0.5))
            postings[term].append((place, rarity * frequency * (_SATURATION + 1) / (frequency + norm)))
    return dict(postings)


def _counts(passage: Passage) -> dict[str, float]:
    counts: dict[str, float] = defaultdict(float)
    for term in _terms(passage.text):
        counts[term] += 1
    for term in set(_terms(passage.heading)):
        counts[term] += _HEADING_WEIGHT
    return counts
