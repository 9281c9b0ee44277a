"""What the comments of the protos say: texts by full name, and the facts that are told there in fixed words.

A proto has no word for "required", for a range, or for a value that may be null. The comments do, always in the same way:
`Not empty; required.`, `From 1; absent: 1.`, `Text or null: the reason.`, `Creates a test set (201).`
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2

from shared.pages import MAX_PAGE

# Numbers of the lists within a FileDescriptorProto and its parts, of which the path of a location is made.
TOP = {4: "message_type", 5: "enum_type", 6: "service"}
MESSAGE = {2: "field", 3: "nested_type", 4: "enum_type"}
PARTS = {"message_type": MESSAGE, "nested_type": MESSAGE, "enum_type": {2: "value"}, "service": {2: "method"}}

TYPES = {
    "text": "string",
    "string": "string",
    "object": "object",
    "array": "array",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
TYPE = rf"(?:an? )?(?:{'|'.join(TYPES)})\b"
REQUIRED = re.compile(r"(?:^|[;,.] )required(?=[.,;:)]|$)", re.IGNORECASE)
NUMBER = r"(\d[\d,]*(?:\.\d+)?)"
CHARACTERS = re.compile(rf"{NUMBER}\u2013{NUMBER} characters")
AT_MOST_CHARACTERS = re.compile(rf"at most {NUMBER} characters")
ENTRIES = re.compile(rf"(?:^|, ){NUMBER}\u2013{NUMBER}(?: \w+)?(?=[;.,]|$)")
AT_MOST = re.compile(rf"\bat most {NUMBER}(?! characters)(?: \w+)?(?=[;.,]|$)", re.IGNORECASE)
RANGE = re.compile(rf"(?:^|, ){NUMBER}\u2013{NUMBER}(?=[;.,]|$)")
FROM = re.compile(rf"^From {NUMBER}[;.]")
CHOICE = re.compile(r"^([a-z_]+(?:, [a-z_]+)* or [a-z_]+)(?=[;.])")
ABSENT = re.compile(r"\babsent: ([^\s;]+?)\.?(?:$|;|\. )", re.IGNORECASE)
STATUS = re.compile(r"\((2\d\d)\)")


def read(descriptor: descriptor_pb2.FileDescriptorSet) -> Mapping[str, str]:
    """Full name of a message, field, enum, value, service or method -> its comment, in one line."""
    return {name: text for file in descriptor.file for name, text in _of_file(file)}


def _of_file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        name = _name_at(file, location.path)
        if name and location.leading_comments:
            yield name, " ".join(location.leading_comments.split())


def _name_at(file: descriptor_pb2.FileDescriptorProto, path: Sequence[int]) -> str:
    """The full name of what stands at a path, "" where that is nothing with a name."""
    scope: Any = file
    lists: Mapping[int, str] = TOP
    names = [file.package]
    for number, index in zip(path[::2], path[1::2], strict=False):
        if number not in lists:
            return ""
        scope = getattr(scope, lists[number])[index]
        names.append(scope.name)
        lists = PARTS.get(lists[number], {})
    return ".".join(names) if len(path) % 2 == 0 else ""


def summary(comment: str) -> str:
    """The first sentence, without the status that it names."""
    return STATUS.sub("", re.split(r"(?<=[.!?]) (?=[A-Z`])", comment)[0]).replace(" .", ".").strip().rstrip(".")


def success(comment: str) -> int:
    """The status of a success."""
    found = STATUS.search(comment)
    return int(found[1]) if found else 200


def is_required(comment: str) -> bool:
    """Whether a field of a request must be given."""
    return REQUIRED.search(comment) is not None


def json_types(comment: str) -> list[str]:
    """The JSON types that a Value may have; none: any."""
    found = re.match(rf"{TYPE}(?:(?:,|,? or) {TYPE})*", comment, re.IGNORECASE)
    words = re.findall(r"\w+", found[0].lower()) if found else []
    return [TYPES[word] for word in words if word in TYPES]


def limits(comment: str, kind: str) -> dict[str, Any]:
    """What a text or a number of a request must be, as JSON Schema says it."""
    if kind == "string":
        return _text_limits(comment)
    if kind == "array":
        return _array_limits(comment)
    if found := RANGE.search(comment):
        return {"minimum": _number(found[1]), "maximum": _number(found[2])}
    found = FROM.search(comment)
    return {"minimum": _number(found[1]), "maximum": MAX_PAGE} if found else {}


def _text_limits(comment: str) -> dict[str, Any]:
    if found := CHARACTERS.search(comment):
        return {"minLength": _number(found[1]), "maxLength": _number(found[2])}
    if found := AT_MOST_CHARACTERS.search(comment):
        return {"maxLength": _number(found[1])}
    if found := CHOICE.search(comment):
        return {"enum": re.split(r", | or ", found[1])}
    return {"minLength": 1} if is_required(comment) or re.search(r"\bnot empty\b", comment, re.IGNORECASE) else {}


def _array_limits(comment: str) -> dict[str, Any]:
    fewest = {"minItems": 1} if is_required(comment) or re.search(r"\bat least one\b", comment) else {}
    if found := ENTRIES.search(comment):
        return fewest | {"maxItems": _number(found[2])}
    found = AT_MOST.search(comment)
    return fewest | ({"maxItems": _number(found[1])} if found else {})


def default(comment: str) -> str | None:
    """What an absent field of a request means, as it stands there."""
    found = ABSENT.search(comment)
    return found[1] if found else None


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text.replace(",", ""))
