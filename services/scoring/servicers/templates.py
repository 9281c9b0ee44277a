"""The registry of templates: assay.scoring.internal.v1.TemplateInternalService and assay.scoring.v1.TemplateService."""

from assay.scoring.internal.v1 import templates_pb2 as internal, templates_pb2_grpc as internal_grpc
from assay.scoring.v1 import templates_pb2 as public, templates_pb2_grpc as public_grpc
from services.scoring import checking, convert
from services.scoring.registry import Registry
from shared.interceptors import Context


class TemplateInternalServicer(internal_grpc.TemplateInternalServiceServicer):
    """For the other services."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListTemplates(self, request: internal.ListTemplatesRequest, context: Context) -> internal.ListTemplatesResponse:  # noqa: ARG002 gRPC's signature
        return internal.ListTemplatesResponse(templates=map(convert.template, self._registry.all()))

    async def CheckEvaluators(self, request: internal.CheckEvaluatorsRequest, context: Context) -> internal.CheckEvaluatorsResponse:  # noqa: ARG002 the same
        evaluators = [convert.evaluator(each) for each in request.evaluators]
        templates = [self._registry.get(each.template) for each in evaluators]
        return convert.checked(checking.faults(self._registry, evaluators), templates)


class TemplateServicer(public_grpc.TemplateServiceServicer):
    """For everybody with credentials."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListEvals(self, request: public.ListEvalsRequest, context: Context) -> public.ListEvalsResponse:  # noqa: ARG002 the same
        return public.ListEvalsResponse(evals=map(convert.listed, self._registry.all()))
