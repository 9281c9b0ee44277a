"""Agent ⇄ message of family B."""

from typing import Any

from google.protobuf.struct_pb2 import ListValue

from assay.catalog.v1 import agent_definitions_pb2 as pb
from services.catalog.convert import fields
from services.catalog.entities.agents import Agent, Outline, Version
from services.catalog.entities.faults import Faults
from shared.errors import Invalid
from shared.json_values import plain, struct

VERSION_TEXTS = ("instructions", "model", "language")


def outline(request: pb.CreateAgentDefinitionRequest) -> Outline:
    """What is to be made, its first version aside. Raises Invalid for a wrong name, as the caller spells it."""
    said = Outline(request.agent_name, request.description or None)
    wrong: Faults = {"agentName" if field == "name" else field: fault for field, fault in said.faults().items()}
    if wrong:
        raise Invalid(wrong)
    return said


def first(request: pb.CreateAgentDefinitionRequest) -> dict[str, Any]:
    """The first version. Raises Invalid for an id that is none."""
    said = fields.cleared(fields.given(request, VERSION_TEXTS), ("model",))
    if request.connection_id:
        said["connection_id"] = fields.body_id("connectionId", request.connection_id)
    return {**said, "tools": [plain(tool) for tool in request.tools], "note": request.commit_message or None}


def next_one(request: pb.CreateAgentVersionRequest) -> dict[str, Any]:
    """What the next version differs in. Raises Invalid for an id that is none, or tools that are no objects."""
    said = fields.cleared(fields.given(request, VERSION_TEXTS), ("model",))
    if request.connection_id:
        said["connection_id"] = fields.body_id("connectionId", request.connection_id)
    if request.HasField("tools"):
        said["tools"] = _objects(request.tools)
    return {**said, "note": request.commit_message or None}


def message(agent: Agent) -> pb.AgentDefinition:
    """As it is shown: with what its active version is."""
    said = agent.main.definition
    return pb.AgentDefinition(
        id=str(agent.id),
        agent_name=agent.outline.name,
        description=agent.outline.description,
        instructions=said.instructions,
        model=said.model,
        connection_id=str(said.connection_id),
        tools=[struct(tool) for tool in said.tools],
        language=said.language,
        active_version=str(agent.main.id),
        created_at=fields.timestamp(agent.created_at),
        updated_at=fields.timestamp(agent.updated_at),
    )


def created(agent: Agent) -> pb.CreateAgentDefinitionResponse:
    """As a create is answered."""
    return pb.CreateAgentDefinitionResponse(message="Agent definition created successfully", agent=message(agent))


def version(found: Version) -> pb.AgentDefinitionVersion:
    """A version, as it is shown."""
    said = found.definition
    return pb.AgentDefinitionVersion(
        id=str(found.id),
        agent_definition=str(found.agent_id),
        version_number=found.number,
        instructions=said.instructions,
        model=said.model,
        connection_id=str(said.connection_id),
        tools=[struct(tool) for tool in said.tools],
        language=said.language,
        commit_message=said.note,
        is_active=found.is_main,
        created_at=fields.timestamp(found.created_at),
    )


def version_created(made: Version) -> pb.CreateAgentVersionResponse:
    """As the create of a version is answered."""
    return pb.CreateAgentVersionResponse(message="Agent version created successfully", version=version(made))


def _objects(tools: ListValue) -> list[Any]:
    wrong = {f"tools[{index}]": "must be an object" for index, one in enumerate(tools.values) if one.WhichOneof("kind") != "struct_value"}
    if wrong:
        raise Invalid(wrong)
    return [plain(one) for one in tools.values]
