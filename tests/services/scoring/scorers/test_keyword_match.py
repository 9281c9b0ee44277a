"""keyword_match: what counts as a word in which script, and what the share is of."""

import pytest
from hypothesis import given, strategies as st

from services.scoring.scorers import keyword_match
from tests.services.scoring.items import an_item


@pytest.mark.parametrize(
    ("keyword", "output", "found"),
    [
        ("refund", "A REFUND is due.", True),
        ("refund", "Refunds are due.", False),
        ("refund", "prerefund", False),
        ("refund", "(refund)", True),
        ("refund", "refund_id", False),
        ("credit card", "by credit\n  card", True),
        ("C++", "written in C++.", True),
        ("C", "written in C++.", True),
        (".NET", "ASP.NET", True),
        ("5", "15 or 50", False),
        ("$5", "costs $5 now", True),
        ("straße", "in der STRASSE", True),
        ("Été", "l'e\u0301te\u0301 dernier", True),
        ("東京", "私は東京に住む", True),
        ("हिन्दी", "मैं हिन्दी बोलता हूँ", True),
        ("हिन्द", "मैं हिन्दी बोलता हूँ", False),
        ("привет", "Привет, мир", True),
        ("a.c", "abc", False),
        ("naïve", "a nai\u0308ve test", True),
    ],
)
def test_keywords_are_found_as_whole_words_in_any_case(keyword: str, output: str, found: bool) -> None:  # noqa: FBT001 - a column
    score = keyword_match.score(an_item(output=output, keywords=(keyword,)))
    assert score.score == float(found)


@pytest.mark.parametrize(
    ("keywords", "share", "status", "reason"),
    [
        (("refund", "days"), 1.0, "passed", "all 2 keywords found"),
        (("days",), 1.0, "passed", "the keyword was found"),
        (("refund", "days", "money"), 2 / 3, "failed", "2 of 3 keywords found; missing: 'money'"),
        (("x", "y"), 0.0, "failed", "0 of 2 keywords found; missing: 'x', 'y'"),
        (("days", " ", ""), 1.0, "passed", "the keyword was found"),
    ],
)
def test_the_score_is_the_share_found_and_the_reason_names_the_missing(
    keywords: tuple[str, ...], share: float, status: str, reason: str
) -> None:
    score = keyword_match.score(an_item(output="The refund takes days.", keywords=keywords))
    assert (score.score, score.status, score.reason) == (share, status, reason)


@pytest.mark.parametrize("keywords", [(), ("",), (" ", "\n")])
def test_an_item_without_keywords_is_an_error_and_no_zero(keywords: tuple[str, ...]) -> None:
    score = keyword_match.score(an_item(keywords=keywords))
    assert (score.status, score.score, score.error) == ("error", None, "the case has no keywords to look for")


def test_only_some_of_many_missing_keywords_are_named() -> None:
    reason = keyword_match.score(an_item(keywords=tuple(f"k{i}" for i in range(13)))).reason
    assert reason.endswith("'k9' and 3 more")


def test_the_evidence_quotes_what_was_found() -> None:
    output = "The REFUND takes 5 days"
    score = keyword_match.score(an_item(output=output, keywords=("refund", "money", "days")))
    assert [(span.start, span.end, span.quote) for span in score.evidence] == [(4, 10, "REFUND"), (19, 23, "days")]


@given(st.lists(st.from_regex(r"\w{1,8}", fullmatch=True), min_size=1, max_size=5))
def test_words_are_found_in_the_text_that_they_make(words: list[str]) -> None:
    score = keyword_match.score(an_item(output=" ".join(words), keywords=tuple(words)))
    assert score.score == 1.0


@given(output=st.text(), keyword=st.text())
def test_any_text_can_be_searched_for_any_keyword(output: str, keyword: str) -> None:
    score = keyword_match.score(an_item(output=output, keywords=(keyword,)))
    assert all(output[span.start : span.end] == span.quote for span in score.evidence)
