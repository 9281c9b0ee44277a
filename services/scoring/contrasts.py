"""What the cosine of two sentences can't see: a negation, another number, another name.

Word rules, not understanding: they point at what differs in two near-identical texts and turns their meaning.
"""

# ruff: noqa: SIM905 - word lists read better as text
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from services.scoring.entities import Evidence
from services.scoring.numbers import Number, numbers

Kind = Literal["negation_mismatch", "number_mismatch", "entity_mismatch"]

# What follows in a very long text would cost more than it tells.
MOST_CHARS = 20_000
# A negation word negates the next content word, if it stands within so many words.
REACH = 4

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_PAUSE = re.compile(r"[.,;:!?()\n]")
_SENTENCE_END = re.compile(r"(?:^|[.!?:;\n•*]|\s-)[\s\"'\u2018-\u201d(\[]*$")
_SUFFIX = re.compile(r"(?<=\w{3})(?:ings?|ed|es|s|e)$")
_NEGATING_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non")

_NEGATIONS: Mapping[str, frozenset[str]] = {
    "en": frozenset("not no never none nobody nothing neither nor cannot without nowhere".split()),
    "de": frozenset("nicht kein keine keinen keinem keiner keines nie niemals niemand nichts ohne weder noch".split()),
    "fr": frozenset("pas jamais aucun aucune rien personne sans ni".split()),
    "es": frozenset("no nunca jamás ningún ninguno ninguna nada nadie sin ni tampoco".split()),
}
# After "no" or "not", these negate nothing: no problem, no doubt, not only.
_IDIOMS = frozenset("problem problems worries worry doubt only just matter".split())
_YES = frozenset("yes yeah yep sure ja oui si sí".split())
_NO = frozenset("no nope nein non".split())
_NO_ADVERBS = ("ply", "fly", "family", "only")
_FUNCTION_WORDS = frozenset(
    """a an the is are was were be been being am do does did has have had having will would can could may might must should shall
    to of in on at for by with from and or but as it its this that these those there here i you he she we they them him her us me
    my your his our their any all yet so very quite too also just still even ever again now then if than please
    der die das ein eine ist sind war waren wird werden wurde kann und oder le la les un une est sont et ou el los las es son y o
    """.split()
)
# Languages that write every noun with a capital: there a capital tells nothing about names.
_CAPITAL_NOUNS = frozenset({"de", "lb"})


@dataclass(frozen=True, slots=True)
class Contrast:
    """One way in which the answer seems to say something else; detail is a clause for a person to read."""

    kind: Kind
    detail: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class _Word:
    folded: str
    text: str
    start: int
    after_pause: bool


@dataclass(frozen=True, slots=True)
class _Use:
    """A content word as the text uses it: negated, affirmed, or (both set) now so, now so."""

    word: _Word
    negated: bool
    affirmed: bool


def contrasts(expected: str, output: str, language: str = "en") -> tuple[Contrast, ...]:
    """At most one contrast of each kind between what was expected and what was answered."""
    expected, output = expected[:MOST_CHARS], output[:MOST_CHARS]
    if not expected.strip() or not output.strip():
        return ()
    tongue = language.casefold().partition("-")[0]
    found = (_negation(expected, output, tongue), _number(expected, output, tongue), _entity(expected, output, tongue))
    return tuple(contrast for contrast in found if contrast)


def _negation(expected: str, output: str, language: str) -> Contrast | None:
    ours, theirs = list(_words(expected)), list(_words(output))
    cues = _NEGATIONS["en"] | _NEGATIONS.get(language, frozenset())
    return _opposite_openings(ours, theirs) or _opposite_uses(_uses(ours, cues), _uses(theirs, cues))


def _words(text: str) -> Iterator[_Word]:
    end = 0
    for match in _WORD.finditer(text):
        after_pause = _PAUSE.search(text, end, match.start()) is not None
        yield _Word(match[0].casefold().replace("\u2019", "'"), match[0], match.start(), after_pause)
        end = match.end()


def _opposite_openings(ours: list[_Word], theirs: list[_Word]) -> Contrast | None:
    first, second = (words[0].folded if words else "" for words in (ours, theirs))
    if (first in _YES and second in _NO) or (first in _NO and second in _YES):
        detail = f"the answer begins with {theirs[0].text!r}, the expected text with {ours[0].text!r}"
        return Contrast("negation_mismatch", detail, (_evidence(theirs[0]),))
    return None


def _opposite_uses(ours: dict[str, _Use], theirs: dict[str, _Use]) -> Contrast | None:
    ours, theirs = _without_prefixes(ours, theirs), _without_prefixes(theirs, ours)
    for stem in theirs.keys() & ours.keys() - {""}:
        one, other = ours[stem], theirs[stem]
        if one.negated != other.negated and one.affirmed != other.affirmed:
            return _negated_only(other.word, in_answer=other.negated)
    odd = [_odd(uses) for uses in (ours, theirs)]
    if ours.keys() - {""} == theirs.keys() - {""} and odd[0] != odd[1]:
        return Contrast("negation_mismatch", f"only {'the answer' if odd[1] else 'the expected text'} is negated")
    return None


def _odd(uses: dict[str, _Use]) -> bool:
    return sum(use.negated for use in uses.values()) % 2 == 1


def _negated_only(word: _Word, *, in_answer: bool) -> Contrast:
    where = "the answer but not in the expected text" if in_answer else "the expected text but not in the answer"
    return Contrast("negation_mismatch", f"{word.text!r} is negated in {where}", (_evidence(word),))


def _uses(words: list[_Word], cues: frozenset[str]) -> dict[str, _Use]:
    """Content words by stem; under the empty stem a negation that reaches no content word."""
    uses: dict[str, _Use] = {}
    cue, left = None, 0
    for word, following in pairwise([*words, _Word("", "", 0, after_pause=True)]):
        if cue and (word.after_pause or not left):
            _add(uses, "", cue, negated=True)
            cue = None
        left -= 1
        if _is_cue(word, following, cues):
            cue, left = word, REACH
        elif not _is_empty(word):
            _add(uses, _stem(word.folded), word, negated=cue is not None)
            cue = None
    if cue:
        _add(uses, "", cue, negated=True)
    return uses


def _is_cue(word: _Word, following: _Word, cues: frozenset[str]) -> bool:
    return (word.folded in cues or word.folded.endswith("n't")) and following.folded not in _IDIOMS


def _is_empty(word: _Word) -> bool:
    return word.folded in _FUNCTION_WORDS or (word.folded.endswith("ly") and not word.folded.endswith(_NO_ADVERBS))


def _add(uses: dict[str, _Use], stem: str, word: _Word, *, negated: bool) -> None:
    known = uses.get(stem)
    if known is None:
        uses[stem] = _Use(word, negated, not negated)
    else:
        uses[stem] = _Use(known.word, known.negated or negated, known.affirmed or not negated)


def _without_prefixes(uses: dict[str, _Use], others: dict[str, _Use]) -> dict[str, _Use]:
    """The uses with `impossible` as a negated `possible`, where the other text has `possible`."""
    plain: dict[str, _Use] = {}
    for stem, use in uses.items():
        bare = next((stem.removeprefix(p) for p in _NEGATING_PREFIXES if stem.startswith(p) and stem.removeprefix(p) in others), "")
        plain[bare or stem] = _Use(use.word, use.affirmed, use.negated) if bare else use
    return plain


def _stem(word: str) -> str:
    return _SUFFIX.sub("", word.removesuffix("'s"))


def _number(expected: str, output: str, language: str) -> Contrast | None:
    wanted, given = numbers(expected, language), numbers(output, language)
    values = {number.value for number in given}
    missing = next((n for n in wanted if n.value not in values and (given or not n.vague)), None)
    if missing is None:
        return None
    others = [n for n in given if n.value not in {number.value for number in wanted}]
    instead = f", which has {others[0].text!r}" if others else ""
    detail = f"the expected number {missing.text!r} is missing from the answer{instead}"
    return Contrast("number_mismatch", detail, tuple(_number_evidence(n) for n in others[:1]))


def _entity(expected: str, output: str, language: str) -> Contrast | None:
    """A name on each side that the other side has in no spelling of case: one alone may be left out or added."""
    if language in _CAPITAL_NOUNS:
        return None
    missing, other = _unmatched_name(expected, output), _unmatched_name(output, expected)
    if missing is None or other is None:
        return None
    return Contrast("entity_mismatch", f"the answer names {other.text!r} where {missing.text!r} was expected", (_evidence(other),))


def _unmatched_name(text: str, against: str) -> _Word | None:
    known = {word.folded.removesuffix("'s") for word in _words(against)}
    return next((name for name in _names(text) if name.folded.removesuffix("'s") not in known), None)


def _names(text: str) -> Iterator[_Word]:
    words = list(_words(text))
    a_title = len(words) <= 2  # noqa: PLR2004 - a bare `Paris` or `New York` is a name although it opens the text
    for word in words:
        plain = word.folded in _FUNCTION_WORDS | _YES | _NO or word.folded.startswith("i'")
        opens = not a_title and _SENTENCE_END.search(text[max(0, word.start - 20) : word.start]) is not None
        if not plain and (_is_code(word.text) or (word.text[0].isupper() and not opens)):
            yield word


def _is_code(text: str) -> bool:
    """`USA`, `XR200`: written in a way that no sentence gives an ordinary word."""
    return (len(text) > 1 and text.isupper()) or (any(map(str.isdigit, text)) and text[0].isupper())


def _evidence(word: _Word) -> Evidence:
    return Evidence("output", 0, word.start, word.start + len(word.text), word.text)


def _number_evidence(number: Number) -> Evidence:
    return Evidence("output", 0, number.start, number.start + len(number.text), number.text)
