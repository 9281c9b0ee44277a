"""Input hygiene, in one place: what Postgres refuses or breaks clients never gets past here."""

import math
import re
from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

MAX_DEPTH = 32
JSON_VALUES = {"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def faults(message: Message, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yields (field path, what is wrong) for U+0000, NaN, infinities and nesting deeper than 32 anywhere in a message."""
    if depth > MAX_DEPTH * 2:  # a Struct nests twice per level of JSON
        yield path, f"nested deeper than {MAX_DEPTH}"
        return
    for field, value in message.ListFields():
        where = _path(path, field)
        if field.type == FieldDescriptor.TYPE_BYTES:
            continue
        # UPB map fields iterate over keys; every map of ours has string keys.
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            held = field.message_type.fields_by_name["value"]
            for key in value:
                yield from _text_faults(key, where)
                yield from _value_faults(held, value[key], f"{path}.{key}" if path else key, depth)
        elif field.is_repeated:
            for index, item in enumerate(value):
                yield from _value_faults(field, item, f"{where}[{index}]", depth)
        else:
            yield from _value_faults(field, value, where, depth)


def _path(path: str, field: FieldDescriptor) -> str:
    # As the caller spelled it: JSON knows nothing of a Value's `stringValue`, or of a ListValue's `values`.
    if path and field.full_name.rpartition(".")[0] in JSON_VALUES:
        return path
    return f"{path}.{field.json_name}" if path else field.json_name


def _value_faults(field: FieldDescriptor, value: object, where: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield from _text_faults(value, where)
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield where, "must be a finite number"
    elif field.message_type is not None and isinstance(value, Message):
        yield from faults(value, where, depth + 1)


def _text_faults(text: str, where: str) -> Iterator[tuple[str, str]]:
    if "\0" in text:
        yield where, "must not contain U+0000"


def cleaned(text: str) -> tuple[str, bool]:
    """What a target answered, fit for storage: U+0000 and lone surrogates become U+FFFD; and whether any did."""
    clean = UNSTORABLE.sub("\ufffd", text)
    return clean, clean != text
