"""assay.catalog.v1.AgentDatasetService."""

import asyncio

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import agent_datasets_pb2 as pb, agent_datasets_pb2_grpc
from assay.catalog.v1.datasets_pb2 import Dataset
from services.catalog.convert import dataset_cases, datasets as convert, evaluators, fields
from services.catalog.convert.datasets import AGENTS
from services.catalog.entities.datasets import DatasetRef
from services.catalog.operations.datasets import Datasets, Examples
from services.catalog.servicers.answering import creation
from services.catalog.store import datasets as store
from shared.identity import workspace
from shared.interceptors import Context
from shared.server import answer_with


class AgentDatasetServicer(agent_datasets_pb2_grpc.AgentDatasetServiceServicer):
    """The agent datasets of a project."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets, self._database = datasets, datasets.database

    async def CreateAgentDataset(self, request: pb.CreateAgentDatasetRequest, context: Context) -> Dataset:
        answering = creation(context, request, Dataset, convert.message)
        ref = DatasetRef(convert.project(request.project_id), kinds=AGENTS)
        made = await self._datasets.create(workspace(), ref, convert.outline(request), answering)
        await answer_with(context, 201)
        return made

    async def ListAgentDatasets(self, request: pb.ListAgentDatasetsRequest, context: Context) -> pb.ListAgentDatasetsResponse:  # noqa: ARG002
        ref, wanted = DatasetRef(convert.project(request.project_id), kinds=AGENTS), fields.wanted_page(request, fields.PROJECT_PAGE_SIZE)
        async with self._database.connection() as sql:
            found = await store.page(sql, workspace(), ref, wanted)
        data = [convert.message(dataset) for dataset in found[: wanted.size]]
        return pb.ListAgentDatasetsResponse(data=data, pagination=evaluators.pagination(found, wanted))

    async def GetAgentDataset(self, request: pb.GetAgentDatasetRequest, context: Context) -> Dataset:  # noqa: ARG002
        return convert.message(await self._datasets.get(workspace(), convert.by_id(request.project_id, request.dataset_id, AGENTS)))

    async def UpdateAgentDataset(self, request: pb.UpdateAgentDatasetRequest, context: Context) -> Dataset:  # noqa: ARG002
        ref = convert.by_id(request.project_id, request.dataset_id, AGENTS)
        return convert.message(await self._datasets.update(workspace(), ref, convert.changes(request)))

    async def DeleteAgentDataset(self, request: pb.DeleteAgentDatasetRequest, context: Context) -> Empty:
        await self._datasets.delete(workspace(), convert.by_id(request.project_id, request.dataset_id, AGENTS))
        await answer_with(context, 204)
        return Empty()

    async def BulkCreateAgentCases(self, request: pb.BulkCreateAgentCasesRequest, context: Context) -> pb.BulkCreateAgentCasesResponse:
        ref = convert.by_id(request.project_id, request.dataset_id, AGENTS)
        answering = creation(context, request, pb.BulkCreateAgentCasesResponse, dataset_cases.made_agents)
        examples = await asyncio.to_thread(dataset_cases.examples, request.data)
        made = await self._datasets.add(workspace(), ref, Examples("data", examples), answering)
        await answer_with(context, 201)
        return made
