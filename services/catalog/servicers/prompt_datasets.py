"""assay.catalog.v1.PromptDatasetService."""

import asyncio

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import prompt_datasets_pb2 as pb, prompt_datasets_pb2_grpc
from assay.catalog.v1.datasets_pb2 import Dataset
from services.catalog.convert import dataset_cases, datasets as convert, evaluators, fields
from services.catalog.convert.datasets import PROMPTS
from services.catalog.entities.datasets import DatasetRef
from services.catalog.operations.datasets import Datasets, Examples
from services.catalog.servicers.answering import creation
from services.catalog.store import datasets as store
from shared.identity import workspace
from shared.interceptors import Context
from shared.server import answer_with


class PromptDatasetServicer(prompt_datasets_pb2_grpc.PromptDatasetServiceServicer):
    """The prompt datasets of a project."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets, self._database = datasets, datasets.database

    async def CreatePromptDataset(self, request: pb.CreatePromptDatasetRequest, context: Context) -> Dataset:
        answering = creation(context, request, Dataset, convert.message)
        ref = DatasetRef(convert.project(request.project_id), kinds=PROMPTS)
        made = await self._datasets.create(workspace(), ref, convert.outline(request), answering)
        await answer_with(context, 201)
        return made

    async def ListPromptDatasets(self, request: pb.ListPromptDatasetsRequest, context: Context) -> pb.ListPromptDatasetsResponse:  # noqa: ARG002
        ref, wanted = DatasetRef(convert.project(request.project_id), kinds=PROMPTS), fields.wanted_page(request, fields.PROJECT_PAGE_SIZE)
        async with self._database.connection() as sql:
            found = await store.page(sql, workspace(), ref, wanted)
        data = [convert.message(dataset) for dataset in found[: wanted.size]]
        return pb.ListPromptDatasetsResponse(data=data, pagination=evaluators.pagination(found, wanted))

    async def GetPromptDataset(self, request: pb.GetPromptDatasetRequest, context: Context) -> Dataset:  # noqa: ARG002
        return convert.message(await self._datasets.get(workspace(), convert.by_id(request.project_id, request.dataset_id, PROMPTS)))

    async def UpdatePromptDataset(self, request: pb.UpdatePromptDatasetRequest, context: Context) -> Dataset:  # noqa: ARG002
        ref = convert.by_id(request.project_id, request.dataset_id, PROMPTS)
        return convert.message(await self._datasets.update(workspace(), ref, convert.changes(request)))

    async def DeletePromptDataset(self, request: pb.DeletePromptDatasetRequest, context: Context) -> Empty:
        await self._datasets.delete(workspace(), convert.by_id(request.project_id, request.dataset_id, PROMPTS))
        await answer_with(context, 204)
        return Empty()

    async def BulkCreatePromptCases(self, request: pb.BulkCreatePromptCasesRequest, context: Context) -> pb.BulkCreatePromptCasesResponse:
        ref = convert.by_id(request.project_id, request.dataset_id, PROMPTS)
        answering = creation(context, request, pb.BulkCreatePromptCasesResponse, dataset_cases.made_prompts)
        examples = await asyncio.to_thread(dataset_cases.examples, request.data)
        made = await self._datasets.add(workspace(), ref, Examples("data", examples), answering)
        await answer_with(context, 201)
        return made
