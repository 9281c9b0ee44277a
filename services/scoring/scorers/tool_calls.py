"""tool_call_accuracy: each tool call of a conversation, held against the tools, what was expected, and what came back."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import regex

from services.scoring import schemas
from services.scoring.cases import Case, ToolCall, Turn
from services.scoring.entities import CannotScore, Found, NotApplicable
from services.scoring.scorers import tool_expectations as expectations

# More calls than any conversation of ours makes; the pairing with what was expected stays quick.
MOST_CALLS = 500
MOST_TOLD = 20
TOOLS_UNKNOWN = "the agent's tools are not known: neither names nor arguments could be checked"
_CLAIM = regex.compile(
    r"\bI(?:['\u2019]ve|\s+have)?\s+(?:just\s+|already\s+|now\s+|successfully\s+)*(?:booked|cancel?led|sent|e-?mailed|transferred|updated"
    r"|scheduled|rescheduled|refunded|submitted|deleted|looked\s+(?:it|that|this|your\s+\w+)?\s*up|checked|verified)\b",
    regex.IGNORECASE,
)
_ERROR = regex.compile(r"\s*(?:error|exception|traceback|failed\s+to)\b", regex.IGNORECASE)

Faults = dict[int, list[str]]


def score(case: Case, settings: Mapping[str, Any]) -> Found:
    """Calls that were right / (calls made + expected ones missing + claims with no call).

    Raises NotApplicable where none was expected and none was made, CannotScore for expectations that can't be read.
    """
    calls, expected, mode = case.calls, _expected(case, settings), _mode(case, settings)
    claims = list(_claims(case.turns))
    if not calls and not expected:
        raise NotApplicable("no tool call was expected and none was made" + (f"; but the agent claims: {claims[0]!r}" if claims else ""))
    if len(calls) > MOST_CALLS:
        raise CannotScore(f"{len(calls)} tool calls are more than the {MOST_CALLS} that are looked at")
    tools = _tools(case)
    faults: Faults = defaultdict(list)
    _note_each(case, settings, tools, faults)
    missing: Sequence[str] = ()
    if expected is not None:
        matched = expectations.match(expected, calls, mode)
        missing = matched.missing
        for number, told in matched.wrong.items():
            faults[number].append(told)
    return _found(calls, faults, [*(f"{name} was never called as expected" for name in missing), *map(_claimed, claims)], tools)


def _found(calls: Sequence[ToolCall], faults: Faults, beside: Sequence[str], tools: Mapping[str, Any] | None) -> Found:
    right = sum(not faults.get(number) for number in range(len(calls)))
    told = [f"call {number + 1} ({call.name}) {fault}" for number, call in enumerate(calls) for fault in faults.get(number, [])]
    all_told = [*told, *beside]
    more = f"; and {len(all_told) - MOST_TOLD} more" if len(all_told) > MOST_TOLD else ""
    reason = f"{right} of {len(calls)} tool calls are right" + "".join(f"; {each}" for each in all_told[:MOST_TOLD]) + more
    total = len(calls) + len(beside)
    return Found(right / total if total else 1.0, reason, warnings=(TOOLS_UNKNOWN,) if tools is None and calls else ())


def _expected(case: Case, settings: Mapping[str, Any]) -> tuple[expectations.Expected, ...] | None:
    """None: nothing is said about it; an empty one: none may be made, unless the mode allows others."""
    raw = case.record.get("expected_tool_calls")
    raw = settings.get("expected") if raw is None else raw
    if isinstance(raw, Mapping):
        raw = raw.get("calls", [])
    return None if raw is None else expectations.read(raw)


def _mode(case: Case, settings: Mapping[str, Any]) -> expectations.Mode:
    raw = case.record.get("expected_tool_calls")
    mode = raw.get("mode") if isinstance(raw, Mapping) else None
    named = mode or settings.get("mode") or "superset"
    known = next((each for each in expectations.MODES if each == named), None)
    if known is None:
        raise CannotScore(f"unknown mode {str(named)[:40]!r}; known are {', '.join(expectations.MODES)}")
    return known


def _tools(case: Case) -> Mapping[str, Any] | None:
    """Parameters' schemas by name; None where the case says nothing of tools."""
    raw = case.record.get("tools")
    if not isinstance(raw, list):
        return None
    known = {}
    for tool in raw:
        # {"type": "function", "function": {...}}; other products nest by the type's name, or not at all.
        nested = tool.get(str(tool.get("type") or "function")) if isinstance(tool, Mapping) else None
        told = nested if isinstance(nested, Mapping) else tool
        if isinstance(told, Mapping) and isinstance(told.get("name"), str):
            known[told["name"]] = told.get("parameters") or told.get("body_parameters")
    return known


def _note_each(case: Case, settings: Mapping[str, Any], tools: Mapping[str, Any] | None, faults: Faults) -> None:
    forbidden, seen = _forbidden(case, settings), set()
    errors = _errors(case)
    final = _final(case.calls, errors)
    for number, call in enumerate(case.calls):
        if call.name in forbidden:
            faults[number].append("is forbidden")
        faults[number] += _signature_faults(call, tools)
        written = json.dumps([call.name, call.arguments], sort_keys=True)
        if written in seen and not settings.get("allow_duplicates"):
            faults[number].append("repeats an earlier call")
        if number not in errors:
            # What failed may be tried again.
            seen.add(written)
        elif number in final:
            faults[number].append(f"returned an error: {errors[number]}")


def _forbidden(case: Case, settings: Mapping[str, Any]) -> set[str]:
    raw = case.record.get("expected_tool_calls")
    names = [*(raw.get("forbidden") or [] if isinstance(raw, Mapping) else []), *(settings.get("forbidden") or [])]
    return {str(name) for name in names}


def _signature_faults(call: ToolCall, tools: Mapping[str, Any] | None) -> Iterator[str]:
    if tools is None:
        return
    if call.name not in tools:
        yield "is no tool of the agent"
        return
    if isinstance(call.arguments, str):
        yield "has arguments that are no JSON object"
        return
    if not isinstance(tools[call.name], Mapping):
        return
    try:
        wrong = schemas.faults(tools[call.name], dict(call.arguments))
    except schemas.BadSchema as fault:
        raise CannotScore(f"the parameters of the tool {call.name} can't be used: {fault}") from None
    yield from (f"has wrong arguments at {path}: {message}" for path, message in wrong[:5])


def _errors(case: Case) -> dict[int, str]:
    """What came back as an error, by the call's place."""
    answers = {turn.answers: turn.text for turn in case.turns if turn.role == "tool" and turn.answers}
    return {number: told for number, call in enumerate(case.calls) if (told := _error(answers.get(call.id, ""))) is not None}


def _final(calls: Sequence[ToolCall], errors: Mapping[int, str]) -> set[int]:
    """The errors after which the tool was never called with success."""
    well = {call.name: number for number, call in enumerate(calls) if number not in errors}
    return {number for number in errors if well.get(calls[number].name, -1) < number}


def _error(answer: str) -> str | None:
    if _ERROR.match(answer):
        return answer[:200]
    try:
        read = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, Mapping):
        return None
    if told := read.get("error"):
        return (told if isinstance(told, str) else json.dumps(told))[:200]
    return answer[:200] if read.get("is_error") is True or read.get("isError") is True else None


def _claims(turns: Sequence[Turn]) -> Iterator[str]:
    """What the agent says it has done before it called anything at all."""
    for turn in turns:
        if turn.calls:
            return
        if turn.role == "assistant" and (match := _CLAIM.search(turn.text)):
            yield match[0]


def _claimed(claim: str) -> str:
    return f"the agent says {claim!r} and had called nothing"
