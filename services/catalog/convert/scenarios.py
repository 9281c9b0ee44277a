"""Scenario ⇄ message."""

from assay.catalog.v1 import scenarios_pb2 as pb
from services.catalog.convert import fields
from services.catalog.convert.contexts import struct
from services.catalog.entities.scenarios import Outline, Scenario, kind_of
from shared.json_values import plain

TEXTS = ("description", "goal")


def outline(request: pb.CreateScenarioRequest) -> Outline:
    """What is to be made. Raises Invalid for an id that is none."""
    said = fields.cleared(fields.given(request, (*TEXTS, "max_turns")), TEXTS)
    if request.HasField("persona"):
        said["persona"] = plain(request.persona)
    if request.dataset_id:
        said["dataset_id"] = fields.body_id("datasetId", request.dataset_id)
    kind = kind_of(has_dataset=bool(request.dataset_id), has_persona=bool(said.get("persona") or said.get("goal")))
    if request.HasField("kind"):
        kind = fields.enum_name(pb.ScenarioKind.Kind, request.kind)
    return Outline(request.name, kind, script=tuple(request.script), **said)


def message(scenario: Scenario) -> pb.Scenario:
    """As it is shown."""
    said = scenario.outline
    return pb.Scenario(
        id=str(scenario.id),
        name=said.name,
        description=said.description,
        kind=pb.ScenarioKind.Kind.Value(said.kind),
        script=said.script,
        persona=struct(said.persona),
        goal=said.goal,
        dataset_id=str(said.dataset_id) if said.dataset_id else None,
        max_turns=said.max_turns,
        created_at=fields.timestamp(scenario.created_at),
        updated_at=fields.timestamp(scenario.updated_at),
    )


def created(scenario: Scenario) -> pb.CreateScenarioResponse:
    """As a create is answered."""
    return pb.CreateScenarioResponse(message="Scenario created successfully", scenario=message(scenario), status="completed")
