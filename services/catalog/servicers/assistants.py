"""assay.catalog.v1.AssistantService."""

from assay.catalog.v1 import assistants_pb2 as pb, assistants_pb2_grpc
from services.catalog.convert import assistants as convert
from services.catalog.operations.agents import Agents
from services.catalog.servicers.answering import creation
from services.catalog.store import agents as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class AssistantServicer(assistants_pb2_grpc.AssistantServiceServicer):
    """Assistants of the caller's workspace."""

    def __init__(self, agents: Agents) -> None:
        self._agents, self._database = agents, agents.database

    async def CreateAssistant(self, request: pb.CreateAssistantRequest, context: Context) -> pb.Assistant:
        answering = creation(context, request, pb.Assistant, convert.message)
        made = await self._agents.create(workspace(), convert.outline(request), convert.definition(request), answering)
        await answer_with(context, 201)
        return made

    async def ListAssistants(self, request: pb.ListAssistantsRequest, context: Context) -> pb.ListAssistantsResponse:  # noqa: ARG002
        async with self._database.connection() as sql:
            found = await store.page(sql, workspace(), convert.wanted_page(request))
        return pb.ListAssistantsResponse(data=[convert.message(agent) for agent in found.items], meta=convert.meta(found))

    async def GetAssistant(self, request: pb.GetAssistantRequest, context: Context) -> pb.Assistant:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.assistant_id, store.KIND)))

    async def UpdateAssistant(self, request: pb.UpdateAssistantRequest, context: Context) -> pb.Assistant:  # noqa: ARG002
        agent_id = parse_id(request.assistant_id, store.KIND)
        outline, said = convert.outline_changes(request), convert.definition(request)
        main = not request.HasField("promote_to_main") or request.promote_to_main
        return convert.message(await self._agents.update(workspace(), agent_id, outline, said, main=main))

    async def DeleteAssistant(self, request: pb.DeleteAssistantRequest, context: Context) -> pb.DeleteAssistantResponse:  # noqa: ARG002
        agent_id = parse_id(request.assistant_id, store.KIND)
        await self._agents.delete(workspace(), agent_id)
        return pb.DeleteAssistantResponse(id=str(agent_id), object="assistant", deleted=True)

    async def CreateAssistantVersion(self, request: pb.CreateAssistantVersionRequest, context: Context) -> pb.AssistantVersion:
        agent_id = parse_id(request.assistant_id, store.KIND)
        answering = creation(context, request, pb.AssistantVersion, convert.version)
        made = await self._agents.create_version(workspace(), agent_id, convert.definition(request), answering)
        await answer_with(context, 201)
        return made

    async def ListAssistantVersions(
        self,
        request: pb.ListAssistantVersionsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListAssistantVersionsResponse:
        agent_id, wanted = parse_id(request.assistant_id, store.KIND), convert.wanted_page(request)
        async with self._database.connection() as sql:
            found = await store.versions(sql, workspace(), agent_id, wanted)
        return pb.ListAssistantVersionsResponse(data=[convert.version(one) for one in found.items], meta=convert.meta(found))

    async def GetAssistantVersion(self, request: pb.GetAssistantVersionRequest, context: Context) -> pb.AssistantVersion:  # noqa: ARG002
        agent_id, version_id = parse_id(request.assistant_id, store.VERSION_KIND), parse_id(request.version_id, store.VERSION_KIND)
        async with self._database.connection() as sql:
            return convert.version(await store.get_version(sql, workspace(), agent_id, version_id))

    async def PromoteAssistantVersion(self, request: pb.PromoteAssistantVersionRequest, context: Context) -> pb.AssistantVersion:  # noqa: ARG002
        agent_id, version_id = parse_id(request.assistant_id, store.KIND), parse_id(request.version_id, store.VERSION_KIND)
        return convert.version(await self._agents.promote(workspace(), agent_id, version_id))
