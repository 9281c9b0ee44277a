"""Verdicts that came with a case's output: what the client's own evaluations said, as scores.

A boolean passes or fails. A number from 0 to 1 is a score, passed at .5, or at the passing score of the run's evaluator of that name;
one outside is taken as the nearer end, with a warning that tells the number itself, for nobody knows its scale.
"""

import math
from collections.abc import Mapping
from typing import Any

from services.scoring.entities import Score, Verdict, verdict

PREFIX = "client:"
SCORED_BY = "client@1"
RECORDED = "recorded"
RECORDED_BY = "recorded@1"
THRESHOLD = 0.5


def verdicts(record: Mapping[str, Any], thresholds: Mapping[str, float]) -> list[Verdict]:
    """One verdict for each of the record's client_evaluations, by name; thresholds are those of evaluators of the same name."""
    told = record.get("client_evaluations")
    if not isinstance(told, Mapping):
        return []
    return [Verdict(f"{PREFIX}{name}", _score(value, thresholds.get(name, THRESHOLD))) for name, value in sorted(told.items())]


def _score(value: Any, threshold: float) -> Score:
    if isinstance(value, bool):
        reason = f"the client's evaluation says {'yes' if value else 'no'}"
        return Score("passed" if value else "failed", float(value), "client", threshold, reason, SCORED_BY)
    if not isinstance(value, int | float) or not math.isfinite(value):
        error = "the client's evaluation is neither true or false nor a number"
        return Score("error", None, "client", threshold, error, SCORED_BY, error=error)
    clipped = min(1.0, max(0.0, float(value)))
    warnings = () if clipped == value else (f"the client's evaluation says {value:g}, which is outside 0 to 1: taken as {clipped:g}",)
    return Score(verdict(clipped, threshold), clipped, "client", threshold, f"the client's evaluation says {value:g}", SCORED_BY, warnings)


def recorded() -> Verdict:
    """Where nobody judges: that there is an output is all that is known."""
    return Verdict(RECORDED, Score("passed", None, "deterministic", 0.0, "the output was recorded; nobody judges it", RECORDED_BY))
