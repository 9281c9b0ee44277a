"""What a mapping may name: a closed list of sources, each a text of the case, so that a typo is found before a run."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.scoring.cases import SAID_BY, Case, ToolCall, Turn
from services.scoring.entities import Evidence, FoundBy, Match

METADATA = "metadata."


@dataclass(frozen=True, slots=True)
class Part:
    """A line of a turn: characters start to end (exclusive) of the text, which begin at `offset` of the turn's own."""

    turn: int
    start: int
    end: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Located:
    """A text with where it is from; parts are the turns in it, none if it is no conversation."""

    source: str
    text: str
    parts: tuple[Part, ...] = ()


class Missing(ValueError):
    """A source that a case has nothing for; the message says which."""


def fault(source: str) -> str | None:
    """What is wrong with the name of a source, if anything."""
    if source in _SOURCES or re.fullmatch(r"metadata\.[^\s].{0,199}", source):
        return None
    return f"must be one of {', '.join(SOURCES)}"


def resolve(case: Case, mapping: Mapping[str, str]) -> dict[str, Located]:
    """The texts of a case by key. Raises Missing."""
    return {key: _text(case, source, key) for key, source in mapping.items()}


def _text(case: Case, source: str, key: str) -> Located:
    if source.startswith(METADATA):
        return Located(source, _metadata(case, source.removeprefix(METADATA), key))
    read = _SOURCES.get(source)
    if read is None:
        raise Missing(f"mapping.{key}: {fault(source)}")
    found = read(case)
    if found is None:
        raise Missing(f"mapping.{key}: the case has no {source}")
    return found if isinstance(found, Located) else Located(source, found)


def _metadata(case: Case, path: str, key: str) -> str:
    """A value by its name, dots in it included, or else by a path of names."""
    metadata = case.record.get("metadata")
    found: Any = metadata
    if isinstance(metadata, Mapping) and path in metadata:
        found = metadata[path]
    else:
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    if found is None:
        raise Missing(f"mapping.{key}: the case has no metadata.{path}")
    return _plain(found)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def place(located: Located, start: int, end: int, found_by: FoundBy = "scorer", match: Match = "exact") -> Evidence:
    """A span of a text as evidence: where it stands in its turn, if the text is a conversation."""
    within = [part for part in located.parts if part.start < end and start < part.end]
    if not within:
        return Evidence(located.source, 0, start, end, located.text[start:end], found_by, match)
    first = within[0]
    last = [part for part in within if part.turn == first.turn][-1]
    begin, stop = max(start, first.start), min(end, last.end)
    # Counted line by line: in a transcript lines are indented.
    places = (begin - first.start + first.offset, stop - last.start + last.offset)
    return Evidence(located.source, first.turn, *places, located.text[begin:stop], found_by, match)


def transcript(case: Case) -> Located:
    """The conversation as a person reads it, with the tools called."""
    return _joined("transcript", case.turns, labelled=True)


def of_agent(case: Case) -> Located:
    """What the agent said."""
    return _joined("transcript.agent", [turn for turn in case.turns if turn.role == "assistant"])


def of_user(case: Case) -> Located:
    """What the user said."""
    return _joined("transcript.user", [turn for turn in case.turns if turn.role == "user"])


def _joined(source: str, turns: Sequence[Turn], *, labelled: bool = False) -> Located:
    pieces: list[str] = []
    parts, at = [], 0
    for turn in turns:
        called = "".join(f"\n  [calls {_call(call)}]" for call in turn.calls) if labelled else ""
        if not turn.text and not called:
            continue
        pieces.append(("\n" if pieces else "") + (f"{SAID_BY.get(turn.role, turn.role)}: " if labelled else ""))
        at += len(pieces[-1])
        offset = 0
        for line in turn.text.splitlines(keepends=True) or [""]:
            # Indented, or a text could speak for the other side: "...\nagent: it is done".
            pieces.append("  " if labelled and offset else "")
            at += len(pieces[-1])
            parts.append(Part(turn.number, at, at + len(line), offset))
            pieces.append(line)
            at, offset = at + len(line), offset + len(line)
        pieces.append(called)
        at += len(called)
    return Located(source, "".join(pieces), tuple(parts))


def _call(call: ToolCall) -> str:
    return f"{call.name} {_plain(call.arguments)}"


def _tool_calls(case: Case) -> str:
    return json.dumps([{"name": call.name, "arguments": call.arguments} for call in case.calls], ensure_ascii=False)


def _last(case: Case) -> Located | None:
    said = [turn for turn in case.turns if turn.role == "assistant" and turn.text]
    if not said:
        return None
    return Located("last_agent_message", said[-1].text, (Part(said[-1].number, 0, len(said[-1].text)),))


def _context(case: Case) -> str | None:
    metadata = case.record.get("metadata")
    found = case.record.get("context")
    if found is None and isinstance(metadata, Mapping):
        found = metadata.get("context")
    return None if found is None else _plain(found)


_SOURCES: Mapping[str, Callable[[Case], Located | str | None]] = {
    "transcript": transcript,
    "transcript.user": of_user,
    "transcript.agent": of_agent,
    "last_agent_message": _last,
    "tool_calls": _tool_calls,
    "case.question": lambda case: case.question,
    "case.expected_response": lambda case: case.expected or None,
    "case.keywords": lambda case: ", ".join(case.keywords) or None,
    "output": lambda case: case.output,
    "context": _context,
}
SOURCES = (*_SOURCES, "metadata.*")
