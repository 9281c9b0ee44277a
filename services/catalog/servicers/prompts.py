"""assay.catalog.v1.PromptService and PromptApplicationService."""

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import prompts_pb2 as pb, prompts_pb2_grpc
from services.catalog.convert import fields, prompts as convert
from services.catalog.operations.prompts import PromptApplications, Prompts
from services.catalog.servicers.answering import creation
from services.catalog.store import prompt_applications, prompts as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class PromptServicer(prompts_pb2_grpc.PromptServiceServicer):
    """Prompts of the caller's workspace."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts, self._database = prompts, prompts.database

    async def CreatePrompt(self, request: pb.CreatePromptRequest, context: Context) -> pb.Prompt:
        made = await self._prompts.create(workspace(), convert.heading(request), creation(context, request, pb.Prompt, convert.message))
        await answer_with(context, 201)
        return made

    async def ListPrompts(self, request: pb.ListPromptsRequest, context: Context) -> pb.ListPromptsResponse:  # noqa: ARG002
        project_id, wanted = convert.wanted_id("projectId", request.project_id), fields.wanted_page(request)
        async with self._database.connection() as sql:
            if project_id:
                await store.check_project(sql, workspace(), project_id)
            return convert.page(await store.page(sql, workspace(), project_id, wanted))

    async def GetPrompt(self, request: pb.GetPromptRequest, context: Context) -> pb.Prompt:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.prompt_id, store.KIND)))

    async def UpdatePrompt(self, request: pb.UpdatePromptRequest, context: Context) -> pb.Prompt:  # noqa: ARG002
        prompt_id = parse_id(request.prompt_id, store.KIND)
        return convert.message(await self._prompts.update(workspace(), prompt_id, convert.changes(request)))

    async def DeletePrompt(self, request: pb.DeletePromptRequest, context: Context) -> Empty:
        await self._prompts.delete(workspace(), parse_id(request.prompt_id, store.KIND))
        await answer_with(context, 204)
        return Empty()


class PromptApplicationServicer(prompts_pb2_grpc.PromptApplicationServiceServicer):
    """Applications of the caller's workspace."""

    def __init__(self, applications: PromptApplications) -> None:
        self._applications, self._database = applications, applications.database

    async def CreatePromptApplication(self, request: pb.CreatePromptApplicationRequest, context: Context) -> pb.PromptApplication:
        answering = creation(context, request, pb.PromptApplication, convert.application)
        made = await self._applications.create(workspace(), convert.use(request), answering)
        await answer_with(context, 201)
        return made

    async def ListPromptApplications(
        self,
        request: pb.ListPromptApplicationsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListPromptApplicationsResponse:
        prompt_id, wanted = convert.wanted_id("promptId", request.prompt_id), fields.wanted_page(request)
        async with self._database.connection() as sql:
            if prompt_id:
                await store.get(sql, workspace(), prompt_id)
            return convert.application_page(await prompt_applications.page(sql, workspace(), prompt_id, wanted))

    async def GetPromptApplication(self, request: pb.GetPromptApplicationRequest, context: Context) -> pb.PromptApplication:  # noqa: ARG002
        application_id = parse_id(request.application_id, prompt_applications.KIND)
        async with self._database.connection() as sql:
            return convert.application(await prompt_applications.get(sql, workspace(), application_id))

    async def UpdatePromptApplication(
        self,
        request: pb.UpdatePromptApplicationRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PromptApplication:
        application_id = parse_id(request.application_id, prompt_applications.KIND)
        return convert.application(await self._applications.update(workspace(), application_id, convert.use_changes(request)))

    async def DeletePromptApplication(self, request: pb.DeletePromptApplicationRequest, context: Context) -> Empty:
        await self._applications.delete(workspace(), parse_id(request.application_id, prompt_applications.KIND))
        await answer_with(context, 204)
        return Empty()
