"""assay.catalog.v1.PromptDatasetService."""

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import prompt_datasets_pb2 as pb, prompt_datasets_pb2_grpc
from assay.catalog.v1.datasets_pb2 import Dataset
from services.catalog.convert import dataset_cases
from services.catalog.convert.datasets import PROMPTS
from services.catalog.operations.datasets import Datasets
from services.catalog.servicers.dataset_resource import DatasetResource
from shared.interceptors import Context
from shared.server import answer_with


class PromptDatasetServicer(prompt_datasets_pb2_grpc.PromptDatasetServiceServicer):
    """The prompt datasets of a project."""

    def __init__(self, datasets: Datasets) -> None:
        self._resource = DatasetResource(datasets, PROMPTS)

    async def CreatePromptDataset(self, request: pb.CreatePromptDatasetRequest, context: Context) -> Dataset:
        made = await self._resource.create(request, context)
        await answer_with(context, 201)
        return made

    async def ListPromptDatasets(self, request: pb.ListPromptDatasetsRequest, context: Context) -> pb.ListPromptDatasetsResponse:  # noqa: ARG002
        return pb.ListPromptDatasetsResponse(**await self._resource.page(request))

    async def GetPromptDataset(self, request: pb.GetPromptDatasetRequest, context: Context) -> Dataset:  # noqa: ARG002
        return await self._resource.get(request)

    async def UpdatePromptDataset(self, request: pb.UpdatePromptDatasetRequest, context: Context) -> Dataset:  # noqa: ARG002
        return await self._resource.update(request)

    async def DeletePromptDataset(self, request: pb.DeletePromptDatasetRequest, context: Context) -> Empty:
        await self._resource.delete(request)
        await answer_with(context, 204)
        return Empty()

    async def BulkCreatePromptCases(self, request: pb.BulkCreatePromptCasesRequest, context: Context) -> pb.BulkCreatePromptCasesResponse:
        made = await self._resource.add(request, context, pb.BulkCreatePromptCasesResponse, dataset_cases.made_prompts)
        await answer_with(context, 201)
        return made
