"""Rudeness that is spelled out is found, and nothing polite is taken for it."""

import pytest

from services.scoring.scorers.politeness import reason, rude

RUDE = [
    ("You are an idiot.", "idiot"),
    ("Shut the hell up!", "Shut the hell up"),
    ("SHUT UP", "SHUT UP"),
    ("That's your problem, not mine.", "That's your problem"),
    ("That\u2019s not my problem.", "That\u2019s not my problem"),
    ("What is wrong with you?", "What is wrong with you"),
    ("Can't you read?", "Can't you read"),
    ("I don't care about your order.", "I don't care"),
    ("Sie sind ein Trottel.", "Trottel"),
    ("Eres un idiota.", "idiota"),
    ("This is bullshit", "bullshit"),
]
POLITE = [
    "I'm sorry, I can't do that.",
    "You are not stupid at all.",
    "That is no idiotic question.",
    "Thank you for your patience; please hold the line.",
    "The dumbbells weigh 5 kg.",
    "Don't be fooled by the price.",
    "Scunthorpe is in England.",
    "",
]


@pytest.mark.parametrize(("text", "quote"), RUDE, ids=range(len(RUDE)))
def test_rude_words_are_found_where_they_stand(text: str, quote: str) -> None:
    assert [text[start:end] for start, end in rude(text)] == [quote]


@pytest.mark.parametrize("text", POLITE)
def test_polite_words_are_left_alone(text: str) -> None:
    assert rude(text) == []


def test_the_reason_quotes_what_was_found() -> None:
    assert reason(["idiot", "moron"]) == "impolite: 'idiot', 'moron'"
    assert reason([]) == "no impolite word or phrase found"
