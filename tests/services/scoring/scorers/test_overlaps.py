"""Overlaps of two texts: known values, bounds, and what can't be measured."""

import pytest
from hypothesis import given, strategies as st

from services.scoring.entities import CannotScore
from services.scoring.scorers.overlaps import CHECKS, MOST_CHARS, TRUNCATED

# Worked out by hand.
ROWS: list[tuple[str, str, str, float]] = [
    ("levenshtein", "kitten", "sitting", 1 - 3 / 7),
    ("levenshtein", "same", "same", 1.0),
    ("jaccard", "a b c", "b c d", 0.5),
    ("jaccard", "The cat", "the CAT the", 1.0),
    ("jaccard", "a", "b", 0.0),
    ("fuzzy", "new york mets", "Mets, New York!", 1.0),
    ("numeric_similarity", "It costs 100 euros", "100 €", 1.0),
    ("numeric_similarity", "100", "about 90", 0.9),
    ("numeric_similarity", "two hundred", "200", 1.0),
    ("numeric_similarity", "10 and 20", "20", 0.5),
    ("numeric_similarity", "10", "none", 0.0),
    ("f1", "a b c d", "a b x", 4 / 7),
    ("f1", "a a b", "a", 0.5),
    ("rouge", "the police killed the gunman", "the gunman killed police", 4 / 9),
    ("word_error_rate", "a b c d", "a x c", 0.5),
    ("word_error_rate", "a", "b c d e", 0.0),
    ("bleu", "the cat sat on the mat", "the cat sat on the mat", 1.0),
    ("bleu", "the cat sat on the mat", "xyz", 0.0),
    ("chrf", "the cat", "the cat", 1.0),
    ("chrf", "aaaa", "bbbb", 0.0),
]


@pytest.mark.parametrize(("name", "expected", "output", "value"), ROWS, ids=[f"{n}-{row[0]}" for n, row in enumerate(ROWS)])
def test_known_values(name: str, expected: str, output: str, value: float) -> None:
    assert CHECKS[name]({"expected": expected, "output": output}, {}).value == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("kind", "value"), [("rouge1", 2 / 3), ("rouge2", 0.5), ("rougeL", 2 / 3), (None, 2 / 3)])
def test_rouge_of_each_kind(kind: str | None, value: float) -> None:
    found = CHECKS["rouge"]({"expected": "a b c", "output": "a b x"}, {"type": kind})
    assert found.value == pytest.approx(value)


@given(name=st.sampled_from(sorted(CHECKS)), expected=st.text(max_size=60), output=st.text(max_size=60))
def test_every_value_lies_between_0_and_1(name: str, expected: str, output: str) -> None:
    try:
        found = CHECKS[name]({"expected": expected, "output": output}, {})
    except CannotScore:
        return
    assert 0 <= found.value <= 1


@pytest.mark.parametrize("name", sorted(set(CHECKS) - {"numeric_similarity"}))
def test_a_text_is_like_itself(name: str) -> None:
    text = "Refunds take five days, we promise."
    assert CHECKS[name]({"expected": text, "output": text}, {}).value == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "says"), [("numeric_similarity", "no number"), ("word_error_rate", "no word")])
def test_what_cant_be_measured_is_no_verdict(name: str, says: str) -> None:
    with pytest.raises(CannotScore, match=says):
        CHECKS[name]({"expected": "—", "output": "5 days"}, {})


def test_of_a_very_long_text_the_beginning_is_compared() -> None:
    found = CHECKS["levenshtein"]({"expected": "a" * MOST_CHARS, "output": "a" * (MOST_CHARS + 5)}, {})
    assert (found.value, found.warnings) == (1.0, (TRUNCATED,))
