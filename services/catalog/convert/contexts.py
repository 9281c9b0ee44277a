"""Context ⇄ message."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from assay.catalog.v1 import contexts_pb2 as pb
from services.catalog.convert import fields
from services.catalog.entities import faults
from services.catalog.entities.contexts import Context, Prompt
from shared.pages import Page

TEXTS = ("model",)


def prompt(request: pb.CreateContextRequest) -> Prompt:
    """What is to be made. Raises Invalid for an id that is none, naming a wrong name too."""
    said = fields.cleared(fields.given(request, ("statement", *TEXTS)), TEXTS)
    if request.HasField("parameters"):
        said["parameters"] = MessageToDict(request.parameters)
    return Prompt(request.name, fields.body_id("connection_id", request.connection_id, faults.name(request.name)), **said)


def changes(request: pb.UpdateContextRequest) -> dict[str, Any]:
    """What is to change, by name. Raises Invalid for an id that is none."""
    said = fields.cleared(fields.given(request, ("name", "statement", *TEXTS)), TEXTS)
    if request.HasField("connection_id"):
        said["connection_id"] = fields.body_id("connection_id", request.connection_id)
    if request.HasField("parameters"):
        said["parameters"] = MessageToDict(request.parameters)
    return said


def message(context: Context) -> pb.Context:
    """As it is shown."""
    said = context.prompt
    return pb.Context(
        id=str(context.id),
        name=said.name,
        statement=said.statement,
        connection_id=str(said.connection_id),
        model=said.model,
        parameters=struct(said.parameters),
        created_at=fields.timestamp(context.created_at),
        updated_at=fields.timestamp(context.updated_at),
    )


def struct(parameters: Mapping[str, Any] | None) -> Struct | None:
    """A JSON object as a message; None stays None."""
    if parameters is None:
        return None
    made = Struct()
    made.update(parameters)
    return made


def page(found: Page[Context]) -> pb.ListContextsResponse:
    """A page of them."""
    return pb.ListContextsResponse(items=[message(context) for context in found.items], **fields.page_numbers(found))
