"""Identifiers."""

from uuid import UUID

import pytest

from shared.errors import NotFound
from shared.ids import canonical_id, new_id, parse_id

TEXT = "0198c0de-0000-7000-8000-00000000abcd"


def test_ids_grow_and_are_of_version_7() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(set(made))
    assert {each.version for each in made} == {7}


def test_an_id_is_read_in_its_usual_form_whatever_the_case() -> None:
    assert parse_id(TEXT, "run") == parse_id(TEXT.upper(), "run") == UUID(TEXT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        TEXT[:-1],
        TEXT + "0",
        "{" + TEXT + "}",
        "urn:uuid:" + TEXT,
        TEXT.replace("-", ""),
        "g" + TEXT[1:],
        " " + TEXT[:-1],
        TEXT[:4] + "_" + TEXT[5:],
        TEXT[1:8] + "-0-" + TEXT[9:-1],
        "\0" * 36,
    ],
)
def test_any_other_spelling_answers_like_an_unknown_id(text: str) -> None:
    with pytest.raises(NotFound, match=r"^run not found$"):
        parse_id(text, "run")
    with pytest.raises(ValueError, match=r".*"):
        canonical_id(text)
