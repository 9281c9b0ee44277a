"""assay.catalog.v1.AgentDefinitionService: agents, spelled as family B spells them."""

from assay.catalog.v1 import agent_definitions_pb2 as pb, agent_definitions_pb2_grpc
from services.catalog.convert import agent_definitions as convert, numbered_pages
from services.catalog.operations.agents import Agents
from services.catalog.servicers.answering import creation
from services.catalog.store import agents as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class AgentDefinitionServicer(agent_definitions_pb2_grpc.AgentDefinitionServiceServicer):
    """Agents of the caller's workspace."""

    def __init__(self, agents: Agents, public_url: str) -> None:
        self._agents, self._database = agents, agents.database
        self._url = f"{public_url}/simulate/agent-definitions/"

    async def CreateAgentDefinition(self, request: pb.CreateAgentDefinitionRequest, context: Context) -> pb.CreateAgentDefinitionResponse:
        answering = creation(context, request, pb.CreateAgentDefinitionResponse, convert.created)
        made = await self._agents.create(workspace(), convert.outline(request), convert.first(request), answering)
        await answer_with(context, 201)
        return made

    async def ListAgentDefinitions(
        self,
        request: pb.ListAgentDefinitionsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListAgentDefinitionsResponse:
        wanted = numbered_pages.wanted(request)
        async with self._database.connection() as sql:
            found = await store.page(sql, workspace(), wanted, request.search)
        envelope = numbered_pages.envelope(found, request, self._url)
        return pb.ListAgentDefinitionsResponse(results=[convert.message(agent) for agent in found.items], **envelope)

    async def GetAgentDefinition(self, request: pb.GetAgentDefinitionRequest, context: Context) -> pb.AgentDefinition:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.agent_id, store.KIND)))

    async def CreateAgentVersion(self, request: pb.CreateAgentVersionRequest, context: Context) -> pb.CreateAgentVersionResponse:
        answering = creation(context, request, pb.CreateAgentVersionResponse, convert.version_created)
        agent_id = parse_id(request.agent_id, store.KIND)
        made = await self._agents.create_version(workspace(), agent_id, convert.next_one(request), answering)
        await answer_with(context, 201)
        return made

    async def ListAgentVersions(self, request: pb.ListAgentVersionsRequest, context: Context) -> pb.ListAgentVersionsResponse:  # noqa: ARG002
        agent_id, wanted = parse_id(request.agent_id, store.KIND), numbered_pages.wanted(request)
        async with self._database.connection() as sql:
            found = await store.versions(sql, workspace(), agent_id, wanted)
        envelope = numbered_pages.envelope(found, request, f"{self._url}{agent_id}/versions/")
        return pb.ListAgentVersionsResponse(results=[convert.version(one) for one in found.items], **envelope)

    async def ActivateAgentVersion(
        self,
        request: pb.ActivateAgentVersionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ActivateAgentVersionResponse:
        agent_id, version_id = parse_id(request.agent_id, store.KIND), parse_id(request.version_id, store.VERSION_KIND)
        active = await self._agents.promote(workspace(), agent_id, version_id)
        return pb.ActivateAgentVersionResponse(message="Agent version activated successfully", version=convert.version(active))
