"""Items and scores that show only what a test is about."""

from services.scoring.entities import Endpoint, Item


def an_item(
    method: str = "exact_match",
    *,
    expected: str = "Refunds take five days.",
    output: str = "Refunds take five days.",
    passing_score: float = 0.7,
    keywords: tuple[str, ...] = (),
    judge: Endpoint | None = None,
    require_judge: bool = False,
    language: str = "en",
) -> Item:
    return Item(
        question="How long do refunds take?",
        expected=expected,
        output=output,
        method=method,
        passing_score=passing_score,
        keywords=keywords,
        language=language,
        judge=judge,
        require_judge=require_judge,
    )
