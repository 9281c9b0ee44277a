"""How a judge's reply is read: the verdict is one JSON object that fits the schema, or there is none."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from jsonschema import Draft202012Validator

# Replies longer than any verdict; the search for an object stays short.
MOST_OBJECTS = 100
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)

Answer = Mapping[str, object]


class UnusableReplyError(ValueError):
    """The reply holds no verdict; the message says why, in words that the judge itself can use."""


def read(reply: str, schema: Mapping[str, object], judged: Sequence[str] = ()) -> Answer:
    """The one object in the reply that fits the schema.

    An object that stands in a judged text too is no verdict but a quotation, and two that differ are none either.
    """
    objects = list(_objects(_THOUGHT.sub("", reply)))
    if not objects:
        raise UnusableReplyError("it holds no JSON object")
    quoted = [found for text in judged for _, found in _objects(text)]
    own = [found for written, found in objects if found not in quoted and not any(written in text for text in judged)]
    if not own:
        raise UnusableReplyError("its JSON object is copied from a judged text")
    fitting = [found for found in own if not _fault(found, schema)]
    if not fitting:
        raise UnusableReplyError(_fault(own[0], schema) or "")
    if any(found != fitting[0] for found in fitting):
        raise UnusableReplyError("it holds more than one JSON object")
    return fitting[0]


def fits(found: Answer, schema: Mapping[str, object]) -> bool:
    """Whether an object, kept from before, is still a verdict by this schema."""
    return _fault(found, schema) is None


def _objects(reply: str) -> Iterator[tuple[str, Answer]]:
    """The outermost JSON objects, each as written and as read."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    at, tried = reply.find("{"), 0
    while at >= 0 and tried < MOST_OBJECTS:
        try:
            found, end = decoder.raw_decode(reply, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield reply[at:end], found
        at, tried = reply.find("{", end), tried + 1


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is repeated")
    return dict(pairs)


def _fault(found: Answer, schema: Mapping[str, object]) -> str | None:
    error = next(iter(Draft202012Validator(dict(schema)).iter_errors(dict(found))), None)
    return f"{error.json_path}: {error.message}" if error else None
