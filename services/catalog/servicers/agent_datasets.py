"""assay.catalog.v1.AgentDatasetService."""

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import agent_datasets_pb2 as pb, agent_datasets_pb2_grpc
from assay.catalog.v1.datasets_pb2 import Dataset
from services.catalog.convert import dataset_cases
from services.catalog.convert.datasets import AGENTS
from services.catalog.operations.datasets import Datasets
from services.catalog.servicers.dataset_resource import DatasetResource
from shared.interceptors import Context
from shared.server import answer_with


class AgentDatasetServicer(agent_datasets_pb2_grpc.AgentDatasetServiceServicer):
    """The agent datasets of a project."""

    def __init__(self, datasets: Datasets) -> None:
        self._resource = DatasetResource(datasets, AGENTS)

    async def CreateAgentDataset(self, request: pb.CreateAgentDatasetRequest, context: Context) -> Dataset:
        made = await self._resource.create(request, context)
        await answer_with(context, 201)
        return made

    async def ListAgentDatasets(self, request: pb.ListAgentDatasetsRequest, context: Context) -> pb.ListAgentDatasetsResponse:  # noqa: ARG002
        return pb.ListAgentDatasetsResponse(**await self._resource.page(request))

    async def GetAgentDataset(self, request: pb.GetAgentDatasetRequest, context: Context) -> Dataset:  # noqa: ARG002
        return await self._resource.get(request)

    async def UpdateAgentDataset(self, request: pb.UpdateAgentDatasetRequest, context: Context) -> Dataset:  # noqa: ARG002
        return await self._resource.update(request)

    async def DeleteAgentDataset(self, request: pb.DeleteAgentDatasetRequest, context: Context) -> Empty:
        await self._resource.delete(request)
        await answer_with(context, 204)
        return Empty()

    async def BulkCreateAgentCases(self, request: pb.BulkCreateAgentCasesRequest, context: Context) -> pb.BulkCreateAgentCasesResponse:
        made = await self._resource.add(request, context, pb.BulkCreateAgentCasesResponse, dataset_cases.made_agents)
        await answer_with(context, 201)
        return made
