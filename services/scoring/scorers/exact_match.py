"""exact_match: the answer is the expected text, after NFKC and folding of white space; case counts."""

import unicodedata

from services.scoring.entities import Evidence, Item, Score, verdict

SCORER = "exact_match@1"
# So much of each text is shown around the first difference.
SHOWN = 24


def score(item: Item) -> Score:
    """1 if the texts are equal, else 0 with the first difference as the reason."""
    expected, output = _normalised(item.expected), _normalised(item.output)
    if expected == output:
        return Score(verdict(1.0, item.passing_score), 1.0, "deterministic", item.passing_score, "equal to the expected text", SCORER)
    reason, evidence = _difference(expected, output, raw=item.output)
    return Score(verdict(0.0, item.passing_score), 0.0, "deterministic", item.passing_score, reason, SCORER, (), evidence)


def _normalised(text: str) -> str:
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).split())


def _difference(expected: str, output: str, raw: str) -> tuple[str, tuple[Evidence, ...]]:
    if not output:
        return "the answer is empty", ()
    at = _common_prefix(expected, output)
    if at == len(output):
        return f"the answer ends early: {_shown(expected, at)} is missing", ()
    quote = output[at : at + SHOWN]
    # Positions in a text that normalising changed would mislead.
    evidence = (Evidence("output", 0, at, at + len(quote), quote),) if output == raw else ()
    if at == len(expected):
        return f"the answer goes on after the expected text with {_shown(output, at)}", evidence
    reason = f"differs at character {at + 1}: expected {_shown(expected, at)}, got {_shown(output, at)}"
    return reason + (" (only the case differs)" if expected.casefold() == output.casefold() else ""), evidence


def _common_prefix(one: str, other: str) -> int:
    """The length of the longest common beginning, by halving: comparing slices is far quicker than characters."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one.startswith(other[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def _shown(text: str, at: int) -> str:
    return repr(text[at : at + SHOWN]) + ("…" if len(text) > at + SHOWN else "")
