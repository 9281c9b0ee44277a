"""similarity: how near the answer is to the expected text, by the cosine of their vectors. It is no test of correctness."""

from services.scoring.contrasts import contrasts
from services.scoring.entities import Cosine, Item, Score, failure, verdict

SCORER = "similarity@1"
TRUNCATED = "truncated: only the beginning of a very long text was compared"


def score(item: Item, cosine: Cosine) -> Score:
    """The cosine as the score, with a warning for a negation or a number that differs: the cosine hardly sees those."""
    value = 0.0 if is_blank(item) else cosine.value
    found = [c for c in contrasts(item.expected, item.output, item.language) if c.kind != "entity_mismatch"]
    warnings = (*(f"{c.kind}: {c.detail}" for c in found), *((TRUNCATED,) if cosine.truncated else ()))
    reason = "the answer is empty" if not item.output.strip() else f"cosine similarity {value:.2f} to the expected text"
    evidence = tuple(span for c in found for span in c.evidence)
    return Score(verdict(value, item.passing_score), value, "embedding", item.passing_score, reason, SCORER, warnings, evidence)


def is_blank(item: Item) -> bool:
    """Whether just one side is blank: the model gives even that pair a cosine around 0.5."""
    return bool(item.output.strip()) != bool(item.expected.strip())


def failed(item: Item, error: str) -> Score:
    """The score of an item that the model could not compare."""
    return failure(item, "embedding", SCORER, error)
