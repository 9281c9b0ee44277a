"""Scoring's registry of templates where the catalog asks for it: a few templates, told of as the real one tells."""

from collections.abc import Iterator

from assay.catalog.internal.v1.parts_pb2 import Evaluator
from assay.scoring.internal.v1 import templates_pb2 as pb, templates_pb2_grpc
from shared.interceptors import Context

TEMPLATES = {
    template.name: template
    for template in (
        pb.Template(
            id="0199aa00-0000-7000-8000-000000000001",
            name="is_polite",
            version=1,
            description="Whether the tone is polite.",
            required_keys=["output"],
            tags=["TEXT"],
            needs_model=True,
            passing_score=0.5,
        ),
        pb.Template(
            id="0199aa00-0000-7000-8000-000000000002", name="equals", version=1, required_keys=["output", "expected"], passing_score=1
        ),
        pb.Template(id="0199aa00-0000-7000-8000-000000000003", name="task_completion", version=1, required_keys=["input", "output"]),
        pb.Template(id="0199aa00-0000-7000-8000-000000000004", name="tool_call_accuracy", version=1),
    )
}
BY_ID = {template.id: template for template in TEMPLATES.values()}
SOURCES = {"output", "transcript", "case.question", "case.expected_response", "case.input"}


class Registry(templates_pb2_grpc.TemplateInternalServiceServicer):
    """What the catalog asks of scoring."""

    async def ListTemplates(self, request: pb.ListTemplatesRequest, context: Context) -> pb.ListTemplatesResponse:  # noqa: ARG002
        return pb.ListTemplatesResponse(templates=[TEMPLATES[name] for name in sorted(TEMPLATES)])

    async def CheckEvaluators(self, request: pb.CheckEvaluatorsRequest, context: Context) -> pb.CheckEvaluatorsResponse:  # noqa: ARG002
        faults = [fault for index, evaluator in enumerate(request.evaluators) for fault in _faults(index, evaluator)]
        return pb.CheckEvaluatorsResponse(faults=faults, templates=[_template(evaluator) for evaluator in request.evaluators])


def _template(evaluator: Evaluator) -> pb.Template:
    return TEMPLATES.get(evaluator.template) or BY_ID.get(evaluator.template) or pb.Template()


def _faults(index: int, evaluator: Evaluator) -> Iterator[pb.CheckEvaluatorsResponse.Fault]:
    template = _template(evaluator)
    if not template.name:
        yield pb.CheckEvaluatorsResponse.Fault(index=index, field="template", message="is no template", unknown_template=True)
    for key in template.required_keys:
        if key not in evaluator.mapping:
            yield pb.CheckEvaluatorsResponse.Fault(index=index, field=f"mapping.{key}", message="is required")
    for key, source in evaluator.mapping.items():
        if source not in SOURCES and not source.startswith("metadata."):
            yield pb.CheckEvaluatorsResponse.Fault(index=index, field=f"mapping.{key}", message="is no known source")
