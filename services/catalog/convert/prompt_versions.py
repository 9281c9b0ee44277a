"""PromptVersion ⇄ message."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from assay.catalog.v1 import prompt_versions_pb2 as pb
from services.catalog.convert import fields
from services.catalog.convert.json_object import JsonObject
from services.catalog.convert.prompt_parts import messages, sent
from services.catalog.entities import faults
from services.catalog.entities.prompt_messages import Json
from services.catalog.entities.prompt_versions import PromptVersion
from shared.json_values import struct, value
from shared.pages import Page

FIELDS = ("title", "messages", "variables", "configuration", "promoted", "draft")


def said(request: pb.CreatePromptVersionRequest) -> tuple[UUID, dict[str, Any]]:
    """The prompt, and what is said of its new version, by name. Raises Invalid naming each wrong field."""
    read = sent(request, FIELDS)
    values = _values(read)
    prompt_id = fields.body_id("promptId", request.prompt_id, read.faults)
    faults.refuse(read.faults)
    return prompt_id, {**values, "title": values.get("title", "")}


def changes(request: pb.UpdatePromptVersionRequest) -> dict[str, Any]:
    """What is to change, by name. Raises Invalid naming each wrong field."""
    read = sent(request, FIELDS)
    values = _values(read)
    faults.refuse(read.faults)
    return values


def message(version: PromptVersion) -> pb.PromptVersion:
    """As it is shown."""
    wording = version.wording
    return pb.PromptVersion(
        id=str(version.id),
        prompt_id=str(version.prompt_id),
        title=wording.title,
        messages=[pb.PromptMessage(**message) for message in wording.messages],
        variables=[pb.PromptVariable(**variable) for variable in wording.all_variables],
        configuration=struct(wording.configuration),
        promoted=wording.promoted,
        draft=wording.draft,
        created_at=fields.timestamp(version.created_at),
        updated_at=fields.timestamp(version.updated_at),
        deleted_at=value(None),
    )


def page(found: Page[PromptVersion]) -> pb.ListPromptVersionsResponse:
    """A page of them."""
    return pb.ListPromptVersionsResponse(items=[message(version) for version in found.items], **fields.page_numbers(found))


def _variables(read: JsonObject, key: str) -> list[Json] | None:
    rows = read.parts(key)
    return None if rows is None else [{"name": row.name("name"), "required": row.flag("required") is not False} for row in rows]


def _configuration(read: JsonObject, key: str) -> Json | None:
    part = read.part(key)
    if part is not None:
        part.id("connectionId")
        part.text("model")
    return read.object(key)


READERS: Mapping[str, Callable[[JsonObject, str], Any]] = {
    "title": JsonObject.text,
    "messages": messages,
    "variables": _variables,
    "configuration": _configuration,
    "promoted": JsonObject.flag,
    "draft": JsonObject.flag,
}


def _values(read: JsonObject) -> dict[str, Any]:
    return {name: reader(read, name) for name, reader in READERS.items() if read.has(name)}
