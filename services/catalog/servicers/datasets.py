"""assay.catalog.v1.DatasetService: datasets whatever their kind."""

import asyncio
from collections.abc import AsyncIterator

from assay.catalog.v1 import datasets_pb2 as pb, datasets_pb2_grpc
from services.catalog.convert import dataset_cases, datasets as convert
from services.catalog.entities.datasets import DatasetRef
from services.catalog.operations.datasets import Datasets, Examples
from services.catalog.servicers.answering import creation
from shared.identity import workspace
from shared.interceptors import Context
from shared.server import answer_with


class DatasetServicer(datasets_pb2_grpc.DatasetServiceServicer):
    """The datasets of a project, as the SDKs ask for them."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Context) -> pb.Dataset:  # noqa: ARG002
        return convert.message(await self._datasets.get(workspace(), convert.by_id(request.project_id, request.dataset_id)))

    async def GetDatasetByName(self, request: pb.GetDatasetByNameRequest, context: Context) -> pb.Dataset:  # noqa: ARG002
        ref = DatasetRef(convert.project(request.project_id), name=request.name)
        return convert.message(await self._datasets.get(workspace(), ref))

    async def ListDatasetCases(self, request: pb.ListDatasetCasesRequest, context: Context) -> AsyncIterator[pb.DatasetCase]:  # noqa: ARG002
        async for case in self._cases(convert.by_id(request.project_id, request.dataset_id)):
            yield case

    async def ListDatasetCasesByName(
        self,
        request: pb.ListDatasetCasesByNameRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.DatasetCase]:
        async for case in self._cases(DatasetRef(convert.project(request.project_id), name=request.name)):
            yield case

    async def CreateDatasetCases(self, request: pb.CreateDatasetCasesRequest, context: Context) -> pb.CreateDatasetCasesResponse:
        ref = convert.by_id(request.project_id, request.dataset_id)
        answering = creation(context, request, pb.CreateDatasetCasesResponse, dataset_cases.made)
        # In a thread, as with all bulk: calls beside it go on while 10,000 cases are read.
        examples = await asyncio.to_thread(dataset_cases.examples, request.examples)
        made = await self._datasets.add(workspace(), ref, Examples("examples", examples), answering)
        await answer_with(context, 201)
        return made

    async def _cases(self, ref: DatasetRef) -> AsyncIterator[pb.DatasetCase]:
        async for batch in self._datasets.cases(await self._datasets.get(workspace(), ref)):
            for row in batch:
                yield dataset_cases.message(row["id"], row["content"])
