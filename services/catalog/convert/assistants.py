"""Agent ⇄ message, as family E spells it."""

from typing import Any

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue

from assay.catalog.v1 import assistants_pb2 as pb
from services.catalog.convert import fields
from services.catalog.entities.agents import Agent, Outline, Version
from shared.errors import Invalid
from shared.json_values import plain, struct
from shared.pages import Page, PageRequest, page_request

PAGE_NAMES = {"page": "page[number]", "page_size": "page[size]"}
TEXTS = ("model",)

Versioned = pb.CreateAssistantRequest | pb.UpdateAssistantRequest | pb.CreateAssistantVersionRequest


def outline(request: pb.CreateAssistantRequest) -> Outline:
    """What is to be made, its version aside."""
    said = fields.cleared(fields.given(request, ("description",)), ("description",))
    return Outline(request.name, **said)


def outline_changes(request: pb.UpdateAssistantRequest) -> dict[str, Any]:
    """What is to change of it, by name."""
    return fields.cleared(fields.given(request, ("name", "description")), ("description",))


def definition(request: Versioned) -> dict[str, Any]:
    """What is said of a version, by the names of Definition. Raises Invalid for an id that is none."""
    said = fields.cleared(fields.given(request, ("instructions", *TEXTS)), TEXTS)
    if request.HasField("connection_id"):
        said["connection_id"] = fields.body_id("connection_id", request.connection_id)
    if isinstance(request, pb.CreateAssistantRequest):
        said["tools"] = tuple(plain(tool) for tool in request.tools)
    elif request.HasField("tools"):
        said["tools"] = values(request.tools)
    return said


def values(array: ListValue) -> tuple[Any, ...]:
    """The JSON values of an array."""
    return tuple(plain(value) for value in array.values)


def message(agent: Agent) -> pb.Assistant:
    """As it is shown: by its main version."""
    said = agent.main.definition
    return pb.Assistant(
        id=str(agent.id),
        name=agent.outline.name,
        description=agent.outline.description,
        instructions=said.instructions,
        model=said.model,
        connection_id=str(said.connection_id),
        tools=[struct(tool) for tool in said.tools],
        main_version_id=str(agent.main.id),
        created_at=fields.timestamp(agent.created_at),
        updated_at=fields.timestamp(agent.updated_at),
    )


def version(found: Version) -> pb.AssistantVersion:
    """As it is shown."""
    said = found.definition
    return pb.AssistantVersion(
        version_id=str(found.id),
        assistant_id=str(found.agent_id),
        instructions=said.instructions,
        model=said.model,
        connection_id=str(said.connection_id),
        tools=[struct(tool) for tool in said.tools],
        is_main=found.is_main,
        created_at=fields.timestamp(found.created_at),
    )


def wanted_page(request: Message) -> PageRequest:
    """Which page a list request of this family asks for. Raises Invalid naming each wrong parameter as it is sent."""
    sent = fields.given(request, ("page_number", "page_size"))
    try:
        return page_request(sent.get("page_number"), sent.get("page_size"))
    except Invalid as wrong:
        raise Invalid({PAGE_NAMES[name]: fault for name, fault in wrong.fields.items()}) from None


def meta(found: Page[Any]) -> pb.AssistantPageMeta:
    """Where a page of this family stands."""
    request = found.request
    return pb.AssistantPageMeta(page_number=request.page, page_size=request.size, total_pages=found.total_pages, total_results=found.total)
