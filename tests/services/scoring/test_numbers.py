"""Numbers in digits and words, by value."""

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from services.scoring.numbers import numbers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,000 and 1000 or one thousand", [1000, 1000, 1000]),
        ("two hundred and five thousand", [205_000]),
        ("one thousand two hundred", [1200]),
        ("twenty-five of them", [25]),
        ("two and three", [2, 3]),
        ("seventy five, seventy 5", [75, 70, 5]),
        ("2 million, 1.5 million, 10k", [2_000_000, 1_500_000, 10_000]),
        ("on 2024-01-05, between 10-20", [2024, 1, 5, 10, 20]),
        ("it fell to -5 or \u22125", [-5, -5]),
        ("0,7 or 0.70", ["0.7", "0.7"]),
        ("20% of $30 for 5GB", [20, 30, 5]),
        ("no number", []),
    ],
)
def test_numbers_are_read_by_value(text: str, values: list[object]) -> None:
    assert [number.value for number in numbers(text)] == [Decimal(str(value)) for value in values]


def test_a_version_is_kept_as_it_is_written() -> None:
    assert [number.value for number in numbers("1.2.3")] == ["1.2.3"]


@pytest.mark.parametrize("text", ["one " + "hundred " * 500, "9" * 5_000 + " hundred five", "nine million " * 300, "1.5 hundred and five"])
def test_no_number_is_too_large_to_be_read(text: str) -> None:
    assert numbers(text)


def test_long_digits_differ_by_their_last() -> None:
    assert numbers("1" * 40)[0].value != numbers("1" * 39 + "2")[0].value


def test_the_language_tells_the_decimal_comma() -> None:
    assert [number.value for number in numbers("1.000,50 kosten 0,7", "de")] == [Decimal("1000.5"), Decimal("0.7")]


def test_the_word_one_is_vague_and_the_digit_is_not() -> None:
    assert [number.vague for number in numbers("one of 1")] == [True, False]


@given(st.integers(-(10**9), 10**9), st.sampled_from(["{}", "{:,}", "it is {} days"]))
def test_a_written_integer_is_read_back(value: int, form: str) -> None:
    assert [number.value for number in numbers(form.format(value))] == [Decimal(value)]


@given(st.text())
def test_a_number_quotes_its_text(text: str) -> None:
    assert all(text[number.start :].startswith(number.text) for number in numbers(text))
