"""The numbers in a text by value: `1,000`, `1000` and `one thousand` are the same."""

# ruff: noqa: SIM905 - word lists read better as text
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

# Written digits, with a sign where no word or bracket stands before it: `10-20` and `2024-01-05` hold no negative number.
_TOKEN = re.compile(r"(?P<digits>(?:(?<![\w)])[-\u2212])?\d+(?:[.,]\d+)*)(?P<thousands>k\b)?|(?P<word>[^\W\d_]+)")
_GAP = re.compile(r"[\s-]+(?:and\s+)?")
_COMMA_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SWAPPED = str.maketrans(",.", ".,")
_DECIMAL_COMMA = frozenset("de fr es it pt nl pl ru tr sv da fi nb cs".split())

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen""".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_VALUES = {word: Decimal(i) for i, word in enumerate(_SMALL)} | {word: Decimal(10 * i) for i, word in enumerate(_TENS, 2)}
_SCALES = {"hundred": Decimal(100), "thousand": Decimal(1_000), "million": Decimal(10**6), "billion": Decimal(10**9)}

# Past it no one counts in words, and decimals would lose their last digits.
MOST_SPELLED = Decimal(10**15)
MOST_DIGITS = 24


@dataclass(frozen=True, slots=True)
class Number:
    """A number as the text has it; value is a text for a version such as `1.2.3`, or for more digits than anyone counts with.

    vague is the word `one`, which counts nothing in `one of them`.
    """

    value: Decimal | str
    text: str
    start: int
    vague: bool = False


@dataclass(slots=True)
class _Reading:
    """A number of which further words may still belong: `two hundred and five thousand`."""

    start: int
    end: int
    current: Decimal
    total: Decimal = Decimal(0)

    def takes(self, value: Decimal) -> bool:
        """Whether the next word goes on with this number: `five` after `twenty`, anything small after `hundred`."""
        if self.current == 0:
            return self.total > value
        # Two digits free, or one of them.
        return (self.current % 100 == 0 and value < 100) or (self.current % 10 == 0 and self.current % 100 > 10 and 0 < value < 10)  # noqa: PLR2004

    def scale(self, factor: Decimal) -> None:
        """Multiplies by `hundred`, `thousand` and so on."""
        if factor < 1000:  # noqa: PLR2004 - thousands end a group, hundreds don't
            self.current *= factor
        else:
            self.total, self.current = self.total + self.current * factor, Decimal(0)


def numbers(text: str, language: str = "en") -> tuple[Number, ...]:
    """The numbers of a text in order; words are read in English only."""
    return tuple(_read(text, language))


def _read(text: str, language: str) -> Iterator[Number]:
    reading: _Reading | None = None
    for token in _TOKEN.finditer(text):
        if token["word"] and token[0].casefold() == "and":
            continue
        if reading and not _go_on(reading, text, token):
            yield _finished(reading, text)
            reading = None
        if reading is None and (value := _value(token, language)) is not None:
            if isinstance(value, str):
                yield Number(value, token[0], token.start())
            else:
                reading = _Reading(token.start(), token.end(), value)
    if reading:
        yield _finished(reading, text)


def _go_on(reading: _Reading, text: str, token: re.Match[str]) -> bool:
    """Adds the token to the number if it belongs to it."""
    if reading.total + reading.current > MOST_SPELLED or not token["word"] or not _GAP.fullmatch(text, reading.end, token.start()):
        return False
    word = token[0].casefold()
    if word in _SCALES:
        reading.scale(_SCALES[word])
    elif word in _VALUES and reading.takes(_VALUES[word]):
        reading.current += _VALUES[word]
    else:
        return False
    reading.end = token.end()
    return True


def _finished(reading: _Reading, text: str) -> Number:
    written = text[reading.start : reading.end]
    return Number((reading.total + reading.current).normalize(), written, reading.start, written.casefold() == "one")


def _value(token: re.Match[str], language: str) -> Decimal | str | None:
    if token["word"]:
        return _VALUES.get(token[0].casefold()) if language == "en" else None
    value = _digits(token["digits"].replace("\u2212", "-"), language)
    return value * 1000 if token["thousands"] and isinstance(value, Decimal) else value


def _digits(written: str, language: str) -> Decimal | str:
    if language in _DECIMAL_COMMA:
        written = written.translate(_SWAPPED)
    if _COMMA_THOUSANDS.fullmatch(written):
        written = written.replace(",", "")
    # A lone comma that parts no thousands is a decimal comma in any language.
    written = written.replace(",", ".") if written.count(",") == 1 and "." not in written else written
    try:
        return Decimal(written) if len(written) <= MOST_DIGITS else written
    except InvalidOperation:
        return written
