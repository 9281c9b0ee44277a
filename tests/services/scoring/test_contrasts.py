"""What turns the meaning of two near-identical texts, and what only looks like it."""

import pytest
from hypothesis import given, strategies as st

from services.scoring.contrasts import contrasts


def kinds(expected: str, output: str, language: str = "en") -> set[str]:
    return {contrast.kind for contrast in contrasts(expected, output, language)}


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("The request was approved.", "The request was not approved."),
        ("You can return the item.", "You cannot return the item."),
        ("You can return the item.", "You can't return the item."),
        ("You can return the item.", "You can\u2019t return the item."),
        ("Refunds are given.", "No refund is given."),
        ("It is possible.", "It is impossible."),
        ("Serve it with sugar.", "Serve it without sugar."),
        ("It is.", "It isn't."),
        ("Yes, that works.", "No, that does something else."),
        ("It is never late.", "It is late."),
    ],
)
def test_a_negation_on_one_side_only_is_seen(expected: str, output: str) -> None:
    assert "negation_mismatch" in kinds(expected, output)
    assert "negation_mismatch" in kinds(output, expected)


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("It isn't possible.", "It is impossible."),
        ("It is not unlawful.", "It is lawful."),
        ("Your refund is approved.", "Sure, no problem! Your refund is approved."),
        ("The shop is closed on Sundays.", "The shop doesn't open on Sundays."),
        ("It cannot be approved.", "It can't be approved."),
        ("Refunds are given, gifts are not refunded.", "Refunds are given."),
        ("Not only tests but runs.", "Tests and runs."),
        ("", "Not at all."),
    ],
)
def test_negations_that_say_the_same_are_no_mismatch(expected: str, output: str) -> None:
    assert "negation_mismatch" not in kinds(expected, output)


@pytest.mark.parametrize(
    ("language", "expected", "output"),
    [
        ("de-DE", "Der Antrag wurde genehmigt", "Der Antrag wurde nicht genehmigt"),
        ("fr", "La demande est acceptée", "La demande est pas acceptée"),
        ("es", "El pedido fue aprobado", "El pedido nunca fue aprobado"),
    ],
)
def test_other_languages_have_their_negations(language: str, expected: str, output: str) -> None:
    assert "negation_mismatch" in kinds(expected, output, language)


@pytest.mark.parametrize(
    ("expected", "output", "mismatch"),
    [
        ("Take two tablets.", "Take ten tablets.", True),
        ("Take one tablet.", "Take two tablets.", True),
        ("within 30 days", "within thirty days", False),
        ("1,000 units", "a thousand units? 1000 units", False),
        ("within 30 days", "within a while", True),
        ("within a while", "within 30 days", False),
        ("one of them", "some of them", False),
        ("it costs 20", "it costs 20, or 25 abroad", False),
        ("-5 degrees", "5 degrees", True),
    ],
)
def test_an_expected_number_must_be_in_the_answer(expected: str, output: str, mismatch: bool) -> None:  # noqa: FBT001 - a column
    assert ("number_mismatch" in kinds(expected, output)) is mismatch


@pytest.mark.parametrize(
    ("expected", "output", "mismatch"),
    [
        ("Paris", "London", True),
        ("The capital is Paris.", "The capital is London.", True),
        ("Ask Alice on Monday.", "Ask Alice on Tuesday.", True),
        ("Use the API.", "Use the CLI.", True),
        ("The capital is Paris.", "It is paris.", False),
        ("The capital is Paris.", "That city is the capital.", False),
        ("Click Save.", "Press the save button.", False),
        ("I think I'm right.", "He says he is.", False),
        ("Yes", "Certainly", False),
    ],
)
def test_a_name_in_the_place_of_another_is_seen(expected: str, output: str, mismatch: bool) -> None:  # noqa: FBT001 - a column
    assert ("entity_mismatch" in kinds(expected, output)) is mismatch


def test_german_nouns_are_no_names() -> None:
    assert kinds("Hier ist der Antrag", "Hier ist das Formular", "de") == set()


def test_a_contrast_quotes_the_answer() -> None:
    output = "The capital is London, not Rome."
    for contrast in contrasts("The capital is Paris, in fact Rome.", output):
        assert contrast.evidence
        assert all(output[span.start : span.end] == span.quote for span in contrast.evidence)


@given(st.text())
def test_no_text_contrasts_with_itself(text: str) -> None:
    assert contrasts(text, text) == ()


@given(st.text(), st.text())
def test_any_two_texts_can_be_compared(expected: str, output: str) -> None:
    assert len(contrasts(expected, output)) <= 3
