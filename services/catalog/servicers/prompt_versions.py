"""assay.catalog.v1.PromptVersionService."""

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import prompt_versions_pb2 as pb, prompt_versions_pb2_grpc
from services.catalog.convert import fields, prompt_versions as convert
from services.catalog.operations.prompts import PromptVersions
from services.catalog.servicers.answering import creation
from services.catalog.store import prompt_versions as store, prompts
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class PromptVersionServicer(prompt_versions_pb2_grpc.PromptVersionServiceServicer):
    """Versions of the prompts of the caller's workspace."""

    def __init__(self, versions: PromptVersions) -> None:
        self._versions, self._database = versions, versions.database

    async def CreatePromptVersion(self, request: pb.CreatePromptVersionRequest, context: Context) -> pb.PromptVersion:
        prompt_id, said = convert.said(request)
        answering = creation(context, request, pb.PromptVersion, convert.message)
        made = await self._versions.create(workspace(), prompt_id, said, answering)
        await answer_with(context, 201)
        return made

    async def ListPromptVersions(self, request: pb.ListPromptVersionsRequest, context: Context) -> pb.ListPromptVersionsResponse:  # noqa: ARG002
        prompt_id, wanted = fields.body_id("promptId", request.prompt_id), fields.wanted_page(request)
        async with self._database.connection() as sql:
            await prompts.get(sql, workspace(), prompt_id)
            return convert.page(await store.page(sql, workspace(), prompt_id, wanted))

    async def GetPromptVersion(self, request: pb.GetPromptVersionRequest, context: Context) -> pb.PromptVersion:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.version_id, store.KIND)))

    async def UpdatePromptVersion(self, request: pb.UpdatePromptVersionRequest, context: Context) -> pb.PromptVersion:  # noqa: ARG002
        version_id = parse_id(request.version_id, store.KIND)
        return convert.message(await self._versions.update(workspace(), version_id, convert.changes(request)))

    async def DeletePromptVersion(self, request: pb.DeletePromptVersionRequest, context: Context) -> Empty:
        await self._versions.delete(workspace(), parse_id(request.version_id, store.KIND))
        await answer_with(context, 204)
        return Empty()
