"""What prompts' versions and test cases have in common, and their or-null values."""

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from services.catalog.convert import fields
from services.catalog.convert.json_object import JsonObject
from services.catalog.entities.prompt_messages import ROLES, Json
from shared.json_values import plain

MAX_CONTENT = 1_000_000


def sent(request: Message, names: Sequence[str]) -> JsonObject:
    """The optional fields of a request that are there, Values as the JSON that they hold, by their JSON names."""
    by_name = request.DESCRIPTOR.fields_by_name
    values = {by_name[name].json_name: getattr(request, name) for name in names if request.HasField(name)}
    return JsonObject({name: plain(value) if isinstance(value, Value) else value for name, value in values.items()})


def messages(said: JsonObject, key: str) -> list[Json] | None:
    """[{role, content}]."""
    rows = said.parts(key)
    return None if rows is None else [_message(row) for row in rows]


def _message(row: JsonObject) -> Json:
    content = row.required("content")
    if len(content) > MAX_CONTENT:
        row.fault("content", f"must have at most {MAX_CONTENT} characters")
    return {"role": row.choice("role", ROLES), "content": content}


def optional_text(said: JsonObject, key: str) -> str | None:
    """A text that "" clears."""
    return said.text(key) or None


def moment(at: datetime | None) -> str | None:
    """A time as JSON spells it, where it may be null."""
    return None if at is None else fields.timestamp(at).ToJsonString()
