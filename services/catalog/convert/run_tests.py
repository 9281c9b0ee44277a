"""RunTest ⇄ message."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from google.protobuf.struct_pb2 import ListValue

from assay.catalog.v1 import run_tests_pb2 as pb
from services.catalog.convert import fields, scenarios
from services.catalog.entities.evaluators import Evaluator, Rule
from services.catalog.entities.run_tests import Wish
from services.catalog.operations.run_tests import Shown
from shared.ids import canonical_id
from shared.json_values import plain

Ids = tuple[UUID, ...] | None


def wish(request: pb.CreateRunTestRequest) -> Wish:
    """What is to be made, with what can't be read or is missing."""
    faults: dict[str, str] = {}
    return Wish(
        name=request.name,
        description=request.description,
        scenario_ids=_ids("scenarioIds", request.scenario_ids, faults),
        agent_id=_id("agentDefinitionId", request.agent_definition_id, faults, required=True),
        version_id=_id("agentVersion", request.agent_version, faults),
        evaluator_ids=_ids("evalConfigIds", request.eval_config_ids, faults),
        rules=rules(request.evaluations_config),
        row_ids=_ids("datasetRowIds", request.dataset_row_ids, faults),
        tool_evaluation=request.enable_tool_evaluation,
        faults=faults,
    )


def changes(request: pb.UpdateRunTestRequest) -> Wish:
    """What is to change, with what can't be read."""
    faults: dict[str, str] = {}
    return Wish(
        **fields.given(request, ("name", "description")),
        scenario_ids=_given_ids(request, "scenario_ids", faults),
        agent_id=_id("agentDefinitionId", request.agent_definition_id, faults),
        version_id=_id("agentVersion", request.agent_version, faults),
        evaluator_ids=_given_ids(request, "eval_config_ids", faults),
        rules=rules(request.evaluations_config),
        row_ids=_given_ids(request, "dataset_row_ids", faults),
        tool_evaluation=request.enable_tool_evaluation if request.HasField("enable_tool_evaluation") else None,
        faults=faults,
    )


def rules(configs: Iterable[pb.EvaluationConfig]) -> tuple[Rule, ...]:
    """Evaluators to be made."""
    return tuple(_rule(config) for config in configs)


def message(shown: Shown) -> pb.RunTest:
    """As it is shown."""
    run_test = shown.run_test
    return pb.RunTest(
        id=str(run_test.id),
        name=run_test.name,
        description=run_test.description,
        status=pb.RunTest.Status.Value(shown.status),
        scenarios=[scenarios.message(scenario) for scenario in shown.scenarios],
        agent_definition=str(run_test.agent_id),
        agent_version=str(run_test.version_id),
        evaluations=evaluations(shown),
        created_at=fields.timestamp(run_test.created_at),
        updated_at=fields.timestamp(run_test.updated_at),
    )


def evaluations(shown: Shown) -> list[pb.Evaluation]:
    """Its evaluations, as they are shown."""
    return [_evaluation(one, shown.template_ids.get(one.rule.template, "")) for one in shown.evaluators]


def created_configs(shown: Shown) -> pb.CreateEvalConfigsResponse:
    """The evaluations that were made."""
    return pb.CreateEvalConfigsResponse(created_eval_configs=evaluations(shown))


def by_name(run_test_id: UUID, name: str) -> pb.GetRunTestIdByNameResponse:
    """Which run test bears a name."""
    return pb.GetRunTestIdByNameResponse(
        status=True, result=pb.GetRunTestIdByNameResponse.Result(run_test_id=str(run_test_id), run_test_name=name)
    )


def _rule(config: pb.EvaluationConfig) -> Rule:
    settings = config.config
    return Rule(
        # A template's id is read as its name once the registry has told that.
        name=config.name or config.template_name or config.template_id,
        template=config.template_id or config.template_name,
        mapping=dict(config.mapping) or dict(settings.mapping),
        config=plain(settings.config) or {},
        error_localizer=config.error_localizer,
        model=config.model or None,
        description=config.description or None,
        tags=tuple(config.tags),
        type=fields.enum_name(pb.EvaluationConfig.Type, config.type) or None,
        eval_group=config.eval_group or None,
        reason_column="reason" if settings.reason_column else None,
    )


def _evaluation(evaluator: Evaluator, template_id: str) -> pb.Evaluation:
    rule = evaluator.rule
    return pb.Evaluation(
        id=str(evaluator.id),
        name=rule.name,
        template_id=template_id,
        template_name=rule.template,
        mapping=rule.mapping,
        error_localizer=rule.error_localizer,
        model=rule.model,
    )


def _id(field: str, text: str, faults: dict[str, str], *, required: bool = False) -> UUID | None:
    if not text:
        if required:
            faults[field] = "is required"
        return None
    try:
        return canonical_id(text)
    except ValueError:
        faults[field] = "must be a UUID"
        return None


def _ids(field: str, texts: Iterable[str], faults: dict[str, str]) -> Ids:
    """Each once, in order; None if one is malformed, which is noted."""
    found = [_id(f"{field}[{index}]", text, faults, required=True) for index, text in enumerate(texts)]
    read = [one for one in found if one is not None]
    return tuple(dict.fromkeys(read)) if len(read) == len(found) else None


def _given_ids(request: pb.UpdateRunTestRequest, name: str, faults: dict[str, str]) -> Ids:
    if not request.HasField(name):  # type: ignore[arg-type]  # one of the names of its lists
        return None
    values: ListValue = getattr(request, name)
    # What is no text is as malformed as a text that is no id.
    return _ids(request.DESCRIPTOR.fields_by_name[name].json_name, [_text(one) for one in values.values], faults)


def _text(one: Any) -> str:
    return one.string_value or "?"
