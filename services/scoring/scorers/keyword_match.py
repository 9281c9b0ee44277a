"""keyword_match: the share of the keywords that stand in the answer as whole words, in any case."""

import unicodedata
from functools import lru_cache

import regex

from services.scoring.entities import Evidence, Item, Score, failure, verdict

SCORER = "keyword_match@1"
# So many missing keywords are named in the reason.
NAMED = 10
# Scripts that write no spaces between words: there a word boundary is nowhere to be seen, and none is asked for.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_SPACED_WORD = regex.compile(rf"[\w--[{_UNSPACED}]]", regex.VERSION1)


def score(item: Item) -> Score:
    """Found keywords / all keywords; an error if the item has none."""
    keywords = [keyword for keyword in map(_normalised, item.keywords) if keyword]
    if not keywords:
        return failure(item, "deterministic", SCORER, "the case has no keywords to look for")
    output = item.output if item.output.isascii() else unicodedata.normalize("NFKC", item.output)
    folded = output.lower() if output.isascii() else None
    spans = [_find(keyword, output, folded) for keyword in keywords]
    share = sum(span is not None for span in spans) / len(keywords)
    missing = [keyword for keyword, span in zip(keywords, spans, strict=True) if span is None]
    # Positions in a text that normalising changed would mislead.
    found = tuple(_evidence(output, span) for span in spans if span is not None) if output == item.output else ()
    status = verdict(share, item.passing_score)
    return Score(status, share, "deterministic", item.passing_score, _reason(len(keywords), missing), SCORER, (), found)


def _normalised(keyword: str) -> str:
    return " ".join((keyword if keyword.isascii() else unicodedata.normalize("NFKC", keyword)).split())


def _find(keyword: str, output: str, folded: str | None) -> tuple[int, int] | None:
    """Where the keyword stands first; folded is the lower-case output if it is ASCII, which allows to look before matching."""
    if folded is not None and keyword.isascii() and keyword.partition(" ")[0].lower() not in folded:
        return None
    match = _pattern(keyword).search(output)
    return match.span() if match else None


@lru_cache(maxsize=8_192)
def _pattern(keyword: str) -> regex.Pattern[str]:
    """Whole words with any white space between them. `C++` needs no boundary after it, since it ends in no word character."""
    words = r"\s+".join(map(regex.escape, keyword.split(" ")))
    before = r"(?<!\w)" if _SPACED_WORD.match(keyword[0]) else ""
    after = r"(?!\w)" if _SPACED_WORD.match(keyword[-1]) else ""
    # Full case folding: `STRASSE` finds `Straße`.
    return regex.compile(before + words + after, regex.IGNORECASE | regex.FULLCASE | regex.VERSION1)


def _reason(total: int, missing: list[str]) -> str:
    if not missing:
        return f"all {total} keywords found" if total > 1 else "the keyword was found"
    named = ", ".join(map(repr, missing[:NAMED]))
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    return f"{total - len(missing)} of {total} keywords found; missing: {named}{more}"


def _evidence(output: str, span: tuple[int, int]) -> Evidence:
    return Evidence("output", 0, *span, output[slice(*span)])
