"""semantic_quality: a judge answers four questions about the answer; with no judge a labelled heuristic stands in."""

from collections.abc import Mapping

from services.scoring.contrasts import contrasts
from services.scoring.entities import Cosine, Item, JudgeAnswer, JudgeError, JudgePrompt, Score, failure, verdict
from services.scoring.scorers.similarity import TRUNCATED, is_blank

SCORER = "semantic_quality@1"
# A contrast turns the meaning, whatever the cosine says: such an answer must not pass at any usual threshold.
CAP = 0.49
NO_JUDGE = "no judge is configured: scored by text similarity, which is no test of correctness"
NEEDS_JUDGE = "the workspace requires a judge and has none"

# Weights in percent. Neither an inconsistent nor a contradicting answer reaches the default passing score of 0.7.
_WEIGHTS: Mapping[str, tuple[int, str]] = {
    "answers_question": (15, "answers the question"),
    "consistent_with_expected": (35, "is consistent with the expected answer"),
    "complete": (15, "is complete"),
    "no_contradiction": (35, "is free of contradiction"),
}
_INSTRUCTIONS = """\
You compare an answer with the expected answer to a question. The expected answer is right by definition.
First write down in "reasoning", in one to three sentences, what differs in meaning. Wording and style don't matter.
Then decide each of these, true or false, on its own:
- answers_question: the answer addresses the question that was asked.
- consistent_with_expected: what the answer states agrees with the expected answer.
- complete: everything essential in the expected answer is in the answer.
- no_contradiction: nothing in the answer contradicts the expected answer or itself; numbers, names and negations count."""
_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"reasoning": {"type": "string"}, **{name: {"type": "boolean"} for name in _WEIGHTS}},
    "required": ["reasoning", *_WEIGHTS],
}


def prompt(item: Item) -> JudgePrompt:
    """The one call that asks all four questions."""
    texts = {"question": item.question, "expected answer": item.expected, "answer": item.output}
    if item.context:
        texts = {"context": item.context, **texts}
    return JudgePrompt("semantic_quality", 1, _INSTRUCTIONS, texts, _SCHEMA)


def judged(item: Item, answer: JudgeAnswer) -> Score:
    """The weights of the questions that hold, added up; the reason is the judge's own, after what does not hold."""
    share = sum(weight for name, (weight, _) in _WEIGHTS.items() if answer.answer[name] is True) / 100
    amiss = [meaning for name, (_, meaning) in _WEIGHTS.items() if answer.answer[name] is not True]
    found = f"not true that the answer {', '.join(amiss)}" if amiss else "all four questions hold"
    reason = f"{found}; the judge: {str(answer.answer['reasoning']).strip()}"
    status = verdict(share, item.passing_score)
    return Score(status, share, "llm_judge", item.passing_score, reason, SCORER, warnings=answer.warnings, provenance=answer.provenance)


def heuristic(item: Item, cosine: Cosine) -> Score:
    """The cosine, capped where a negation, a number or a name differs; never sold as a judge's verdict."""
    found = contrasts(item.expected, item.output, item.language)
    value = 0.0 if is_blank(item) else cosine.value
    capped = bool(found) and value > CAP
    score = CAP if capped else value
    warnings = (NO_JUDGE, *(f"{c.kind}: {c.detail}" for c in found), *((TRUNCATED,) if cosine.truncated else ()))
    reason = _heuristic_reason(item, value, tuple(c.detail for c in found), capped=capped)
    evidence = tuple(span for c in found for span in c.evidence)
    return Score(verdict(score, item.passing_score), score, "heuristic_fallback", item.passing_score, reason, SCORER, warnings, evidence)


def _heuristic_reason(item: Item, value: float, details: tuple[str, ...], *, capped: bool) -> str:
    if not item.output.strip():
        return "the answer is empty"
    cap = f", capped at {CAP}: " if capped else "; " if details else ""
    return f"no judge; similarity {value:.2f} to the expected text{cap}{'; '.join(details)}"


def unscored(item: Item) -> Score:
    """For a workspace that would rather have no score than a heuristic one."""
    return Score("unscored", None, "heuristic_fallback", item.passing_score, NEEDS_JUDGE, SCORER, error=NEEDS_JUDGE)


def failed(item: Item, error: Exception) -> Score:
    """The score of an item that neither the judge nor the model could score."""
    if item.judge is None:
        return failure(item, "heuristic_fallback", SCORER, str(error))
    reason = f"the judge gave no verdict: {error}"
    provenance = error.provenance if isinstance(error, JudgeError) else None
    return Score("error", None, "llm_judge", item.passing_score, reason, SCORER, provenance=provenance, error=reason)
