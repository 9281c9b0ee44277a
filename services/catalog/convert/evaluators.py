"""Evaluator ⇄ evaluation criterion, and → what a run judges by."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct

from assay.catalog.internal.v1 import parts_pb2
from assay.catalog.v1 import evaluation_criteria_pb2 as pb
from services.catalog.convert import fields
from services.catalog.entities.evaluators import Evaluator, Rule
from shared.errors import Invalid
from shared.json_values import plain, struct
from shared.pages import PageRequest

SETTINGS = ("passing_score", "is_enabled")


def rule(request: pb.CreateEvaluationCriterionRequest) -> Rule:
    """What is to be made. Raises Invalid for a mapping to anything but texts."""
    said = fields.given(request, SETTINGS)
    return Rule(request.name, request.template, _texts(request.mapping), plain(request.config), **said)


def changes(request: pb.UpdateEvaluationCriterionRequest) -> dict[str, Any]:
    """What is to change, by name. Raises Invalid for a mapping to anything but texts."""
    said = fields.given(request, ("name", "template", *SETTINGS))
    if request.HasField("mapping"):
        said["mapping"] = _texts(request.mapping)
    if request.HasField("config"):
        said["config"] = plain(request.config)
    return said


def message(evaluator: Evaluator) -> pb.EvaluationCriterion:
    """As it is shown."""
    said = evaluator.rule
    return pb.EvaluationCriterion(
        id=str(evaluator.id),
        name=said.name,
        template=said.template,
        mapping=struct(said.mapping),
        passing_score=said.passing_score or 0.0,
        is_enabled=said.is_enabled,
        config=struct(said.config) if said.config else None,
    )


def page(found: Sequence[Evaluator], request: PageRequest) -> pb.ListEvaluationCriteriaResponse:
    """A page of them; one more than fits tells that there is a next one."""
    return pb.ListEvaluationCriteriaResponse(
        data=[message(evaluator) for evaluator in found[: request.size]],
        pagination=pagination(found, request),
    )


def pagination(found: Sequence[object], request: PageRequest) -> pb.Pagination:
    """Which page it is."""
    return pb.Pagination(page=request.page, page_size=request.size, has_next=len(found) > request.size)


def part(rule: Rule, evaluator_id: str = "") -> parts_pb2.Evaluator:
    """What a run judges by, and what the registry is asked about."""
    return parts_pb2.Evaluator(
        name=rule.name,
        id=evaluator_id,
        template=rule.template,
        mapping=rule.mapping,
        config=struct(rule.config),
        passing_score=rule.passing_score,
        error_localizer=rule.error_localizer,
    )


def _texts(mapping: Struct) -> dict[str, str]:
    for key, source in mapping.fields.items():
        if source.WhichOneof("kind") != "string_value":
            raise Invalid({f"mapping.{key}": "must be a text"})
    return {key: source.string_value for key, source in mapping.fields.items()}
