"""Dataset ⇄ message, for both kinds."""

from typing import Any, TypeAlias
from uuid import UUID

from google.protobuf.struct_pb2 import ListValue

from assay.catalog.v1 import agent_datasets_pb2 as agent_pb, datasets_pb2 as pb, prompt_datasets_pb2 as prompt_pb
from services.catalog.convert import fields
from services.catalog.entities.datasets import AGENT, PROMPT, Dataset, DatasetOutline, DatasetRef
from services.catalog.store import datasets, workspaces
from shared.errors import Invalid
from shared.ids import parse_id

CreateRequest: TypeAlias = prompt_pb.CreatePromptDatasetRequest | agent_pb.CreateAgentDatasetRequest
UpdateRequest: TypeAlias = prompt_pb.UpdatePromptDatasetRequest | agent_pb.UpdateAgentDatasetRequest

PROMPTS, AGENTS = (PROMPT,), (AGENT,)


def outline(request: CreateRequest) -> DatasetOutline:
    """What is to be made."""
    return DatasetOutline(
        request.name, request.description, tuple(request.input_names), tuple(request.media_input_names), request.support_history
    )


def changes(request: UpdateRequest) -> dict[str, Any]:
    """What is to change, by name. Raises Invalid for names that are no texts."""
    said = fields.given(request, ("name", "description", "support_history"))
    if request.HasField("input_names"):
        said["input_names"] = _texts("input_names", request.input_names)
    if request.HasField("media_input_names"):
        said["media_input_names"] = _texts("media_input_names", request.media_input_names)
    return said


def message(dataset: Dataset) -> pb.Dataset:
    """As it is shown."""
    said = dataset.outline
    return pb.Dataset(
        id=str(dataset.id),
        name=said.name,
        description=said.description,
        input_names=said.input_names,
        media_input_names=said.media_input_names,
        support_history=said.support_history,
    )


def project(text: str) -> UUID:
    """A project's id in a path. Raises NotFound for a malformed one."""
    return parse_id(text, workspaces.PROJECT)


def _texts(field: str, values: ListValue) -> tuple[str, ...]:
    for index, value in enumerate(values.values):
        if value.WhichOneof("kind") != "string_value":
            raise Invalid({f"{field}[{index}]": "must be a text"})
    return tuple(value.string_value for value in values.values)


def by_id(project_id: str, dataset_id: str, kinds: tuple[str, ...] = (PROMPT, AGENT)) -> DatasetRef:
    """A dataset as a path names it. Raises NotFound for a malformed id."""
    return DatasetRef(project(project_id), parse_id(dataset_id, datasets.KIND), kinds=kinds)
