"""A key is repeated by nobody, a wait is understood, a completion is read."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from shared.chat import Choice, bearer, first_choice, redacted, redacted_values, retry_after_seconds, shown


@pytest.mark.parametrize(
    ("text", "secret", "without"),
    [
        ("Bearer sk-1, sk-1", "sk-1", "Bearer •••, •••"),
        ("nothing", "sk-1", "nothing"),
        ("all of it", "", "all of it"),
        ("all of it", " ", "all of it"),
        ("Bearer sk-1", " sk-1 ", "Bearer •••"),
        (r'{"said": "a\/b\/c"}', "a/b/c", '{"said": "•••"}'),
        (r'{"said": "a\"b\\c"}', 'a"b\\c', '{"said": "•••"}'),
        (r'{"said": "cl\u00e9"}', "clé", '{"said": "•••"}'),
    ],
)
def test_a_secret_is_taken_out_however_it_is_spelled(text: str, secret: str, without: str) -> None:
    assert redacted(text, secret) == without


@pytest.mark.parametrize("before", range(12))
def test_a_cut_leaves_no_part_of_a_secret(before: int) -> None:
    assert set(shown(b"x" * before + b"secret", "secret", 10)) <= set("x•")


def test_what_is_shown_is_text_and_not_too_long() -> None:
    assert shown(b"a\xffbcd", "", 3) == "a\ufffdb"


def test_the_texts_of_a_value_are_without_the_secret() -> None:
    value = {"name": ["a key", True, 1.5, None, {"deep": "key"}]}
    assert redacted_values(value, "key") == {"name": ["a •••", True, 1.5, None, {"deep": "•••"}]}


def test_only_a_key_is_sent() -> None:
    assert (bearer("k"), bearer("")) == ({"Authorization": "Bearer k"}, {})


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("3", 3), ("0.5", 0.5), ("-1", 0), ("soon", None), (format_datetime(datetime.now(UTC) + timedelta(days=1)), 86400)],
    ids=["absent", "seconds", "a part of one", "negative", "no number", "a date"],
)
def test_a_rest_is_told_in_seconds_or_by_a_date(header: str | None, seconds: float | None) -> None:
    # The date was made when the tests were collected, long ago on a slow machine.
    assert retry_after_seconds(header) == (None if seconds is None else pytest.approx(seconds, rel=0.3))


@pytest.mark.parametrize(
    ("text", "reason", "choice"), [("a", "stop", Choice("a", cut_off=False)), (None, "length", Choice(None, cut_off=True))]
)
def test_the_first_choice_is_read(text: str | None, reason: str, choice: Choice) -> None:
    first = {"message": {"content": text}, "finish_reason": reason}
    assert first_choice({"choices": [first, {"message": {"content": "other"}}]}) == choice


@pytest.mark.parametrize(
    "answer", [None, 7, "x", [], {}, {"choices": []}, {"choices": {}}, {"choices": ["x"]}, {"choices": [{"message": None}]}]
)
def test_what_is_no_completion_is_an_error(answer: Any) -> None:
    with pytest.raises(ValueError, match="no chat completion"):
        first_choice(answer)
