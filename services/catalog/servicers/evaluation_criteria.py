"""assay.catalog.v1.EvaluationCriterionService."""

from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from assay.catalog.v1 import evaluation_criteria_pb2 as pb, evaluation_criteria_pb2_grpc
from services.catalog.convert import evaluators as convert, fields
from services.catalog.operations.evaluators import Evaluators
from services.catalog.servicers.answering import creation
from services.catalog.store import evaluators as store, workspaces
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class EvaluationCriterionServicer(evaluation_criteria_pb2_grpc.EvaluationCriterionServiceServicer):
    """The evaluation criteria of a project."""

    def __init__(self, evaluators: Evaluators) -> None:
        self._evaluators, self._database = evaluators, evaluators.database

    async def CreateEvaluationCriterion(self, request: pb.CreateEvaluationCriterionRequest, context: Context) -> pb.EvaluationCriterion:
        project = parse_id(request.project_id, workspaces.PROJECT)
        answering = creation(context, request, pb.EvaluationCriterion, convert.message)
        made = await self._evaluators.create(workspace(), project, convert.rule(request), answering)
        await answer_with(context, 201)
        return made

    async def ListEvaluationCriteria(
        self,
        request: pb.ListEvaluationCriteriaRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListEvaluationCriteriaResponse:
        project, wanted = parse_id(request.project_id, workspaces.PROJECT), fields.wanted_page(request, fields.PROJECT_PAGE_SIZE)
        async with self._database.connection() as sql:
            await workspaces.require_project(sql, workspace(), project)
            return convert.page(await store.page(sql, workspace(), project, wanted), wanted)

    async def GetEvaluationCriterion(
        self,
        request: pb.GetEvaluationCriterionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.EvaluationCriterion:
        project, evaluator_id = _ids(request)
        async with self._database.connection() as sql:
            await workspaces.require_project(sql, workspace(), project)
            return convert.message(await store.get(sql, workspace(), project, evaluator_id))

    async def UpdateEvaluationCriterion(
        self,
        request: pb.UpdateEvaluationCriterionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.EvaluationCriterion:
        project, evaluator_id = _ids(request)
        return convert.message(await self._evaluators.update(workspace(), project, evaluator_id, convert.changes(request)))

    async def DeleteEvaluationCriterion(self, request: pb.DeleteEvaluationCriterionRequest, context: Context) -> Empty:
        project, evaluator_id = _ids(request)
        await self._evaluators.delete(workspace(), project, evaluator_id)
        await answer_with(context, 204)
        return Empty()


def _ids(
    request: pb.GetEvaluationCriterionRequest | pb.UpdateEvaluationCriterionRequest | pb.DeleteEvaluationCriterionRequest,
) -> tuple[UUID, UUID]:
    return parse_id(request.project_id, workspaces.PROJECT), parse_id(request.criterion_id, store.KIND)
