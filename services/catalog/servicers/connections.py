"""assay.catalog.v1.ConnectionService."""

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import connections_pb2 as pb, connections_pb2_grpc
from services.catalog.convert import connections as convert, fields
from services.catalog.operations.connections import Connections
from services.catalog.servicers.answering import creation
from services.catalog.store import connections as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class ConnectionServicer(connections_pb2_grpc.ConnectionServiceServicer):
    """Connections of the caller's workspace."""

    def __init__(self, connections: Connections) -> None:
        self._connections, self._database = connections, connections.database

    async def CreateConnection(self, request: pb.CreateConnectionRequest, context: Context) -> pb.Connection:
        api_key = request.api_key or None
        answering = creation(context, request, pb.Connection, convert.message)
        made = await self._connections.create(workspace(), convert.settings(request), api_key, answering)
        await answer_with(context, 201)
        return made

    async def ListConnections(self, request: pb.ListConnectionsRequest, context: Context) -> pb.ListConnectionsResponse:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.page(await store.page(sql, workspace(), fields.wanted_page(request)))

    async def GetConnection(self, request: pb.GetConnectionRequest, context: Context) -> pb.Connection:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.connection_id, store.KIND)))

    async def UpdateConnection(self, request: pb.UpdateConnectionRequest, context: Context) -> pb.Connection:  # noqa: ARG002
        connection_id = parse_id(request.connection_id, store.KIND)
        api_key = request.api_key if request.HasField("api_key") else None
        return convert.message(await self._connections.update(workspace(), connection_id, convert.changes(request), api_key))

    async def DeleteConnection(self, request: pb.DeleteConnectionRequest, context: Context) -> Empty:
        await self._connections.delete(workspace(), parse_id(request.connection_id, store.KIND))
        await answer_with(context, 204)
        return Empty()
