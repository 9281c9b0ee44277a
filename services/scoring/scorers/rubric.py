"""Criteria that need no judge: `contains: <text>` and `tool called: <name>`. Every other is for a judge."""

import re
from collections.abc import Callable

from services.scoring import mapping
from services.scoring.cases import Case
from services.scoring.entities import Found, Span
from services.scoring.scorers.texts import find

NO_JUDGE = (
    "no judge is configured for the workspace, and without one only `contains: <text>` and `tool called: <name>` can be decided, "
    "each as the whole criterion"
)
AGENT = "transcript.agent"
_CRITERION = re.compile(r"\s*(?P<kind>contains|tool called)\s*:\s*(?P<wanted>.*\S)\s*", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r"([\"'`])(.+)\1|\u201c(.+)\u201d", re.DOTALL)


def decided(criteria: str) -> Callable[[Case], Found] | None:
    """How the criterion is decided of a case; None if only a judge can."""
    match = _CRITERION.fullmatch(criteria)
    if match is None:
        return None
    wanted = _unquoted(match["wanted"])
    return (lambda case: _contains(case, wanted)) if match["kind"].lower() == "contains" else lambda case: _called(case, wanted)


def _unquoted(wanted: str) -> str:
    quoted = _QUOTED.fullmatch(wanted)
    return (quoted[2] or quoted[3]) if quoted else wanted


def _contains(case: Case, wanted: str) -> Found:
    said = mapping.of_agent(case)
    span = find(wanted, said.text, ignore_case=True)
    if span is None:
        return Found(0.0, f"the assistant never said {wanted!r}" if said.text else "the assistant said nothing")
    return Found(1.0, f"the assistant said {wanted!r}", (Span(AGENT, *span),))


def _called(case: Case, wanted: str) -> Found:
    names = list(dict.fromkeys(call.name for call in case.calls))
    if wanted in names:
        return Found(1.0, f"the tool {wanted} was called")
    return Found(0.0, f"the tool {wanted} was never called; called: {', '.join(names[:20]) or 'none'}")
