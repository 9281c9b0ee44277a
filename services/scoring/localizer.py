"""The error localizer: which words a failed verdict rests on. A judge points at them and is checked; else sentences are left out."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from services.scoring import mapping
from services.scoring.entities import Evidence, JudgeAnswer, JudgePrompt
from services.scoring.mapping import Located, Part

VERSION = 1
# So alike, of 100, must a quote be to a part of its segment.
ALIKE = 90
MOST_SEGMENTS = 300
# Each sentence left out is one more time to score.
MOST_LEFT_OUT = 40
MOST_FOUND = 5
# What leaving a sentence out must change at least.
MATTERS = 0.01
NOWHERE = "error localizer: no single sentence makes the difference"
UNVERIFIED = "error localizer: the judge quoted what isn't in the segment that it named"
UNKNOWN_SEGMENT = "error localizer: the judge named a segment that isn't there"

_SENTENCE = re.compile(r"\S[^\n]*?(?:[.!?]+(?=\s|\Z)|(?=\n)|\Z)")
_INSTRUCTIONS = """\
A check of a text failed. You point at the places in the text that it failed for.
The text was cut into segments, each on a line of its own after its id in square brackets. The failed check and why it failed are given too.
First write down in "reasoning", in one or two sentences, what is wrong.
Then list in "places" at most five places, the worst first: the segment's id, and the words in it that are wrong, copied letter by letter."""
_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "reasoning": {"type": "string"},
        "places": {
            "type": "array",
            "maxItems": MOST_FOUND,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"segment": {"type": "string"}, "quote": {"type": "string"}},
                "required": ["segment", "quote"],
            },
        },
    },
    "required": ["reasoning", "places"],
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence, named by its turn and its number in it: "t2.s0"; characters start to end (exclusive) of the whole text."""

    id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LocatedError:
    """What was found, and what a reader should know of it."""

    evidence: tuple[Evidence, ...]
    warnings: tuple[str, ...] = ()


def segments(located: Located) -> list[Segment]:
    """The sentences of a text, at most 300."""
    found: list[Segment] = []
    numbers: dict[int, int] = {}
    for part in located.parts or (Part(0, 0, len(located.text)),):
        for match in _SENTENCE.finditer(located.text, part.start, part.end):
            number = numbers.get(part.turn, 0)
            numbers[part.turn] = number + 1
            found.append(Segment(f"t{part.turn}.s{number}", match.start(), match.start() + len(match[0].rstrip())))
            if len(found) == MOST_SEGMENTS:
                return found
    return found


def prompt(check: str, reason: str, located: Located) -> JudgePrompt:
    """The question where the fault is."""
    lines = "\n".join(f"[{segment.id}] {located.text[segment.start : segment.end]}" for segment in segments(located))
    texts = {"failed check": check, "why it failed": reason, "segments": lines}
    return JudgePrompt("error_localizer", VERSION, _INSTRUCTIONS, texts, _SCHEMA)


def pointed(located: Located, answer: JudgeAnswer) -> LocatedError:
    """What the judge pointed at, each quote looked for in its segment; one that isn't there is kept and flagged."""
    known = {segment.id: segment for segment in segments(located)}
    evidence, warnings = [], list(answer.warnings)
    places = answer.answer["places"]
    for place in places if isinstance(places, list) else []:
        segment = known.get(str(place["segment"]).strip("[] "))
        if segment is None:
            warnings.append(UNKNOWN_SEGMENT)
            continue
        found = _verified(located, segment, str(place["quote"]).strip())
        evidence.append(found)
        warnings += [UNVERIFIED] if found.match == "none" else []
    return LocatedError(tuple(dict.fromkeys(evidence)), tuple(dict.fromkeys(warnings)))


def _verified(located: Located, segment: Segment, quote: str) -> Evidence:
    text = located.text[segment.start : segment.end]
    at = text.find(quote) if quote else -1
    if at >= 0:
        return mapping.place(located, segment.start + at, segment.start + at + len(quote), "judge")
    near = fuzz.partial_ratio_alignment(quote, text, score_cutoff=ALIKE) if len(quote) <= len(text) * 1.2 else None
    if near is not None and near.dest_end > near.dest_start:
        return mapping.place(located, segment.start + near.dest_start, segment.start + near.dest_end, "judge", "fuzzy")
    return mapping.place(located, segment.start, segment.end, "judge", "none")


async def by_ablation(located: Located, value: float, values: Callable[[Sequence[str]], Awaitable[Sequence[float | None]]]) -> LocatedError:
    """The sentences without which the score would be better, the worst first. `values` scores texts anew, None where it can't."""
    tried = segments(located)[:MOST_LEFT_OUT]
    without = [located.text[: each.start] + located.text[each.end :] for each in tried]
    gains = [(scored or 0.0) - value for scored in await values(without)]
    worst = sorted((number for number, gain in enumerate(gains) if gain >= MATTERS), key=lambda number: (-gains[number], number))
    places = [mapping.place(located, tried[number].start, tried[number].end, "ablation") for number in worst[:MOST_FOUND]]
    return LocatedError(tuple(places), () if places else (NOWHERE,))
