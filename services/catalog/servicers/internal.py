"""assay.catalog.internal.v1.CatalogInternalService: for the other services alone."""

from collections.abc import AsyncIterator

from assay.catalog.internal.v1 import catalog_pb2 as pb, catalog_pb2_grpc
from services.catalog.convert import internal as convert
from services.catalog.operations.credentials import Credentials
from services.catalog.operations.targets import Targets
from services.catalog.store import connections, contexts, test_sets
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context


class CatalogInternalServicer(catalog_pb2_grpc.CatalogInternalServiceServicer):
    """What the other services ask."""

    def __init__(self, credentials: Credentials, targets: Targets) -> None:
        self._credentials, self._targets = credentials, targets

    async def Authenticate(self, request: pb.AuthenticateRequest, context: Context) -> pb.Principal:  # noqa: ARG002
        return convert.principal(await self._credentials.authenticate(convert.credential(request)))

    async def ResolveTarget(self, request: pb.ResolveTargetRequest, context: Context) -> pb.ResolvedTarget:  # noqa: ARG002
        set_id, context_id = parse_id(request.test_set_id, test_sets.KIND), parse_id(request.context_id, contexts.KIND)
        return convert.resolved(await self._targets.resolve(workspace(), set_id, context_id))

    async def StreamCases(self, request: pb.StreamCasesRequest, context: Context) -> AsyncIterator[pb.CaseBatch]:  # noqa: ARG002
        set_id = parse_id(request.test_set_id, test_sets.KIND)
        async for batch in self._targets.cases(workspace(), set_id, request.revision):
            yield convert.case_batch(batch)

    async def CheckTestSet(self, request: pb.CheckTestSetRequest, context: Context) -> pb.CheckTestSetResponse:  # noqa: ARG002
        await self._targets.check_set(workspace(), parse_id(request.test_set_id, test_sets.KIND))
        return pb.CheckTestSetResponse()

    async def ReadConnection(self, request: pb.ReadConnectionRequest, context: Context) -> pb.ConnectionAccess:  # noqa: ARG002
        connection_id = parse_id(request.connection_id, connections.KIND)
        return convert.access(await self._targets.access(workspace(), connection_id))

    async def ReadJudge(self, request: pb.ReadJudgeRequest, context: Context) -> pb.JudgeSettings:  # noqa: ARG002
        return convert.judging(await self._targets.judge(workspace()))
