"""Datasets and their cases as the tests make them; only what matters has to be said."""

from typing import Any

from assay.catalog.v1 import agent_datasets_pb2 as agent_pb, datasets_pb2 as pb, prompt_datasets_pb2 as prompt_pb
from shared.json_values import plain, value
from tests.services.catalog.house import Caller, House

# What a case says of its output when nobody says anything.
SILENT = {"output": None, "output_message": None, "history": None, "metadata": None}


async def a_prompt_dataset(house: House, project: str, caller: Caller | None = None, **said: Any) -> pb.Dataset:
    request = prompt_pb.CreatePromptDatasetRequest(project_id=project, **{"name": "questions", **said})
    made: pb.Dataset = await house.prompt_datasets.CreatePromptDataset(request, metadata=(caller or house.us).metadata)
    return made


async def an_agent_dataset(house: House, project: str, **said: Any) -> pb.Dataset:
    request = agent_pb.CreateAgentDatasetRequest(project_id=project, **{"name": "tasks", **said})
    made: pb.Dataset = await house.agent_datasets.CreateAgentDataset(request, metadata=house.us.metadata)
    return made


def case(**said: Any) -> pb.NewDatasetCase:
    """A case to be made, from plain JSON."""
    return pb.NewDatasetCase(**{field: value(found) for field, found in said.items()})


async def add(house: House, project: str, dataset_id: str, *cases: pb.NewDatasetCase) -> list[dict[str, Any]]:
    """Adds cases as the SDKs do. Returns them as JSON."""
    request = pb.CreateDatasetCasesRequest(project_id=project, dataset_id=dataset_id, examples=cases)
    made = await house.datasets.CreateDatasetCases(request, metadata=house.us.metadata)
    return [shown(one) for one in made.data]


async def cases_of(house: House, project: str, dataset_id: str) -> list[dict[str, Any]]:
    """The dataset's cases as JSON."""
    request = pb.ListDatasetCasesRequest(project_id=project, dataset_id=dataset_id)
    return [shown(one) async for one in house.datasets.ListDatasetCases(request, metadata=house.us.metadata)]


def shown(message: Any) -> dict[str, Any]:
    """A case as the gateway prints it: absent fields aren't there."""
    return {field.json_name: found if isinstance(found, str) else plain(found) for field, found in message.ListFields()}
