"""assay.catalog.v1.ContextService."""

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import contexts_pb2 as pb, contexts_pb2_grpc
from services.catalog.convert import contexts as convert, fields
from services.catalog.operations.contexts import Contexts
from services.catalog.servicers.answering import creation
from services.catalog.store import contexts as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class ContextServicer(contexts_pb2_grpc.ContextServiceServicer):
    """Contexts of the caller's workspace."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts, self._database = contexts, contexts.database

    async def CreateContext(self, request: pb.CreateContextRequest, context: Context) -> pb.Context:
        answering = creation(context, request, pb.Context, convert.message)
        made = await self._contexts.create(workspace(), convert.prompt(request), answering)
        await answer_with(context, 201)
        return made

    async def ListContexts(self, request: pb.ListContextsRequest, context: Context) -> pb.ListContextsResponse:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.page(await store.page(sql, workspace(), fields.wanted_page(request)))

    async def GetContext(self, request: pb.GetContextRequest, context: Context) -> pb.Context:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.context_id, store.KIND)))

    async def UpdateContext(self, request: pb.UpdateContextRequest, context: Context) -> pb.Context:  # noqa: ARG002
        context_id = parse_id(request.context_id, store.KIND)
        return convert.message(await self._contexts.update(workspace(), context_id, convert.changes(request)))

    async def DeleteContext(self, request: pb.DeleteContextRequest, context: Context) -> Empty:
        await self._contexts.delete(workspace(), parse_id(request.context_id, store.KIND))
        await answer_with(context, 204)
        return Empty()
