"""How much of the expected text is in the output, by words and characters. None of these is a test of correctness."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

import regex
from rapidfuzz import fuzz, utils
from rapidfuzz.distance import LCSseq, Levenshtein
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from services.scoring.entities import CannotScore, Found
from services.scoring.numbers import numbers
from services.scoring.scorers.texts import Check, Settings, Texts

# Of longer texts only the beginning is compared: the cost grows with the product of the lengths.
MOST_CHARS = 50_000
MOST_NUMBERS = 200
TRUNCATED = f"truncated: only the first {MOST_CHARS} characters were compared"
_WORD = regex.compile(r"\w+(?:['\u2019]\w+)*")
_BLEU = BLEU(effective_order=True)
_CHRF = CHRF()


def levenshtein(expected: str, output: str, settings: Settings) -> tuple[float, str]:  # noqa: ARG001 a measure
    """1 less the characters to change, as a share of the longer text."""
    edits = Levenshtein.distance(expected, output)
    return Levenshtein.normalized_similarity(expected, output), f"{edits} characters to change"


def jaccard(expected: str, output: str, settings: Settings) -> tuple[float, str]:  # noqa: ARG001 the same
    """Words of both / words of either."""
    one, other = set(_words(expected)), set(_words(output))
    if not one | other:
        return float(expected == output), "no words in either text"
    return len(one & other) / len(one | other), f"{len(one & other)} of {len(one | other)} different words are in both"


def fuzzy(expected: str, output: str, settings: Settings) -> tuple[float, str]:  # noqa: ARG001 the same
    """The words of both sorted, then compared character by character."""
    value = fuzz.token_sort_ratio(expected, output, processor=utils.default_process) / 100
    return value, f"the words are alike by {value:.2f}"


def numeric_similarity(expected: str, output: str, settings: Settings) -> tuple[float, str]:  # noqa: ARG001 the same
    """How near the nearest number of the output is to each expected one, on average. Raises CannotScore without any."""
    wanted, got = _values(expected), _values(output)
    if not wanted:
        raise CannotScore("the expected text holds no number")
    # The nearest pairs first, so that no number takes another's place.
    pairs = sorted(((abs(value - other), i, j) for i, value in enumerate(wanted) for j, other in enumerate(got)), key=lambda pair: pair[0])
    matched: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in pairs:
        if i not in matched and j not in taken:
            matched[i] = j
            taken.add(j)
    total = sum(_nearness(value, got[matched[i]]) for i, value in enumerate(wanted) if i in matched)
    told = [
        f"expected {value:f}, got {f'{got[matched[i]]:f}' if i in matched else 'no number'}"
        for i, value in enumerate(wanted)
        if i not in matched or got[matched[i]] != value
    ]
    return total / len(wanted), "; ".join(told[:10]) or "the numbers are equal"


def _values(text: str) -> list[Decimal]:
    return [number.value for number in numbers(text, "en") if isinstance(number.value, Decimal) and not number.vague][:MOST_NUMBERS]


def _nearness(value: Decimal, other: Decimal) -> float:
    largest = max(abs(value), abs(other))
    return 1.0 if not largest else max(0.0, float(1 - abs(value - other) / largest))


def f1(expected: str, output: str, settings: Settings) -> tuple[float, str]:  # noqa: ARG001 the same
    """Harmonic mean of precision and recall of words."""
    return _f1(Counter(_words(expected)), Counter(_words(output)))


def bleu(expected: str, output: str, settings: Settings) -> tuple[float, str]:  # noqa: ARG001 the same
    """Sentence BLEU by sacrebleu, with effective order, /100."""
    value = min(1.0, _BLEU.sentence_score(output, [expected]).score / 100)
    return value, f"BLEU {value:.3f}"


def rouge(expected: str, output: str, settings: Settings) -> tuple[float, str]:
    """F1 of words, pairs of words, or the longest common subsequence."""
    kind = settings.get("type") or "rougeL"
    one, other = _words(expected), _words(output)
    if kind != "rougeL":
        value, told = _f1(_grams(one, int(kind[-1])), _grams(other, int(kind[-1])))
    else:
        common = LCSseq.similarity(one, other)
        value, told = _harmonic(common, len(one), len(other)), f"{common} words in the same order"
    return value, f"{kind} {value:.3f}: {told}"


def chrf(expected: str, output: str, settings: Settings) -> tuple[float, str]:  # noqa: ARG001 the same
    """chrF2 by sacrebleu, /100."""
    value = min(1.0, _CHRF.sentence_score(output, [expected]).score / 100)
    return value, f"chrF {value:.3f}"


def word_error_rate(expected: str, output: str, settings: Settings) -> tuple[float, str]:  # noqa: ARG001 the same
    """1 less the rate, 0 at least. Raises CannotScore for an expected text without words."""
    one, other = _words(expected), _words(output)
    if not one:
        raise CannotScore("the expected text holds no word")
    rate = Levenshtein.distance(one, other) / len(one)
    return max(0.0, 1.0 - rate), f"word error rate {rate:.3f}"


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _grams(words: Sequence[str], size: int) -> Counter[str]:
    return Counter(" ".join(words[at : at + size]) for at in range(len(words) - size + 1))


def _f1(wanted: Counter[str], got: Counter[str]) -> tuple[float, str]:
    common = (wanted & got).total()
    return _harmonic(common, wanted.total(), got.total()), f"{common} of {wanted.total()} expected, {got.total()} in the output"


def _harmonic(common: int, wanted: int, got: int) -> float:
    return 1.0 if not wanted and not got else 2 * common / (wanted + got)


_MEASURES = {
    "levenshtein": levenshtein,
    "jaccard": jaccard,
    "fuzzy": fuzzy,
    "numeric_similarity": numeric_similarity,
    "f1": f1,
    "bleu": bleu,
    "rouge": rouge,
    "chrf": chrf,
    "word_error_rate": word_error_rate,
}


def _check(name: str) -> Check:
    measure = _MEASURES[name]

    def check(texts: Texts, settings: Settings) -> Found:
        expected, output = (" ".join(texts[key][:MOST_CHARS].split()) for key in ("expected", "output"))
        cut = any(len(texts[key]) > MOST_CHARS for key in ("expected", "output"))
        value, reason = measure(expected, output, settings)
        return Found(value, reason, warnings=(TRUNCATED,) if cut else ())

    return check


CHECKS: Mapping[str, Check] = {name: _check(name) for name in _MEASURES}
