"""assay.catalog.v1.RunTestService."""

from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import ListValue, Value

from assay.catalog.v1 import assistants_pb2 as assistants_pb, assistants_pb2_grpc, run_tests_pb2 as pb
from shared.ids import canonical_id, new_id
from shared.json_values import plain
from tests.services.catalog.house import PUBLIC_URL, House, http_code, invalid, not_found, refused
from tests.services.catalog.simulations import POLITE, Simulations, template_id


@pytest.fixture
def b(house: House) -> Simulations:
    return Simulations(house)


async def listed(b: Simulations, **said: Any) -> pb.ListRunTestsResponse:
    answer: pb.ListRunTestsResponse = await b.run_tests.ListRunTests(pb.ListRunTestsRequest(**said), metadata=b.metadata)
    return answer


async def add(b: Simulations, run_test_id: str, *configs: dict[str, Any]) -> list[pb.Evaluation]:
    request = pb.CreateEvalConfigsRequest(run_test_id=run_test_id, evaluations_config=[pb.EvaluationConfig(**config) for config in configs])
    answer = await b.run_tests.CreateEvalConfigs(request, metadata=b.metadata)
    return list(answer.created_eval_configs)


async def id_of(b: Simulations, name: str) -> str:
    answer = await b.run_tests.GetRunTestIdByName(pb.GetRunTestIdByNameRequest(name=name), metadata=b.metadata)
    assert (answer.status, answer.result.run_test_name) == (True, name)
    return str(answer.result.run_test_id)


def ids(*values: str) -> ListValue:
    return ListValue(values=[Value(string_value=value) for value in values])


async def test_a_run_test_is_made_with_its_defaults_and_read_back(b: Simulations) -> None:
    scenario, agent = await b.a_scenario(), await b.an_agent()
    made = await b.a_run_test(name="smoke", scenario_ids=[scenario.id], agent_definition_id=agent.id)
    assert (made.name, made.description, made.status) == ("smoke", "", pb.RunTest.pending)
    assert list(made.scenarios) == [scenario]
    assert (made.agent_definition, made.agent_version, list(made.evaluations)) == (agent.id, agent.active_version, [])
    assert await b.run_test_as_it_is(made.id) == made


@pytest.mark.parametrize("camel", [True, False])
async def test_the_documented_body_makes_one_in_both_spellings(b: Simulations, *, camel: bool) -> None:
    said = {
        "name": "new-run-test",
        "description": "",
        "scenario_ids": [(await b.a_scenario()).id],
        "agent_definition_id": (await b.an_agent()).id,
        "agent_version": None,
        "eval_config_ids": [],
        "dataset_row_ids": [],
        "enable_tool_evaluation": True,
    }
    config = {
        "name": "task_completion",
        "templateId": template_id("task_completion"),
        "templateName": "task_completion",
        "mapping": {"input": "transcript", "output": "transcript"},
        "config": {"mapping": {"input": "transcript", "output": "transcript"}, "config": {}, "reasonColumn": True},
        "description": "Measures.",
        "type": "futureagi_built",
        "requiredKeys": ["input", "output"],
        "tags": ["TEXT", "AUDIO"],
        "errorLocalizer": True,
        "model": "turing_small",
        "eval_group": "10a3037b-5893-4997-a5d5-9d058aae10d1",
    }
    body = {_camel(key) if camel else key: value for key, value in said.items()}
    request = ParseDict({**body, "evaluationsConfig" if camel else "evaluations_config": [config]}, pb.CreateRunTestRequest())
    made = await b.run_tests.CreateRunTest(request, metadata=b.metadata)
    shown = MessageToDict(made, always_print_fields_with_no_presence=True)
    assert shown.keys() == {
        *(
            "id",
            "name",
            "description",
            "status",
            "scenarios",
            "agent_definition",
            "agent_version",
            "evaluations",
            "created_at",
            "updated_at",
        )
    }
    [evaluation] = shown["evaluations"]
    assert evaluation.pop("id")
    assert evaluation == {
        "name": "task_completion",
        "template_id": template_id("task_completion"),
        "template_name": "task_completion",
        "mapping": {"input": "transcript", "output": "transcript"},
        "error_localizer": True,
        "model": "turing_small",
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


async def test_a_create_answers_201_and_the_same_key_the_same_run_test(b: Simulations) -> None:
    request = await b.a_request(evaluations_config=[POLITE])
    call = b.run_tests.CreateRunTest(request, metadata=b.caller.with_key("k"))
    assert await http_code(call) == "201"
    assert (await b.run_tests.CreateRunTest(request, metadata=b.caller.with_key("k"))) == await call
    assert (await listed(b)).count == 1


async def test_everything_unknown_is_named_at_once(b: Simulations) -> None:
    scenario = await b.a_scenario()
    theirs = await Simulations(b.house, b.house.them).a_scenario()
    scenarios, evaluations, templates = [str(new_id()), theirs.id], [str(new_id()), str(new_id())], [str(new_id()), "no_such"]
    configs = [{**POLITE, "template_id": templates[0]}, POLITE, {**POLITE, "template_name": templates[1]}]
    request = await b.a_request(
        scenario_ids=[scenarios[0], scenario.id, scenarios[1]],
        eval_config_ids=evaluations,
        evaluations_config=configs,
        agent_definition_id=str(new_id()),
        name="",
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await b.run_tests.CreateRunTest(request, metadata=b.metadata)
    told = caught.value.details() or ""
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    for unknown in (*scenarios, *evaluations, *templates, request.agent_definition_id, "name: must not be empty"):
        assert unknown in told
    assert scenario.id not in told


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"name": "n" * 256}, "name: must have at most 255"),
        ({"description": "d" * 5001}, "description: must have at most 5000"),
        ({"scenario_ids": []}, "scenarioIds: must not be empty"),
        ({"scenario_ids": ["none"]}, "scenarioIds[0]: must be a UUID"),
        ({"agent_definition_id": ""}, "agentDefinitionId: is required"),
        ({"agent_definition_id": "none"}, "agentDefinitionId: must be a UUID"),
        ({"agent_version": "none"}, "agentVersion: must be a UUID"),
        ({"eval_config_ids": ["none"]}, "evalConfigIds[0]: must be a UUID"),
        ({"dataset_row_ids": ["none"]}, "datasetRowIds[0]: must be a UUID"),
        ({"evaluations_config": [{}]}, "evaluationsConfig[0].templateId: is required, or templateName"),
        ({"evaluations_config": [{"template_name": "is_polite"}]}, "evaluationsConfig[0].mapping.output: is required"),
        ({"evaluations_config": [{**POLITE, "mapping": {"output": "x"}}]}, "evaluationsConfig[0].mapping.output: is no known source"),
        ({"evaluations_config": [POLITE] * 101}, "evaluationsConfig: a run test has at most 100"),
    ],
)
async def test_a_wrong_field_is_named(b: Simulations, said: dict[str, Any], fault: str) -> None:
    with invalid(fault):
        await b.a_run_test(**said)


async def test_a_name_is_taken_once_in_a_workspace(b: Simulations) -> None:
    other = await b.a_run_test(name="smoke")
    with refused(grpc.StatusCode.ALREADY_EXISTS, "the name is taken"):
        await b.a_run_test(name="smoke")
    with refused(grpc.StatusCode.ALREADY_EXISTS, "the name is taken"):
        await b.update((await b.a_run_test()).id, name="smoke")
    assert (await b.update(other.id, name="smoke")).name == "smoke"
    assert (await Simulations(b.house, b.house.them).a_run_test(name="smoke")).name == "smoke"


async def test_a_version_must_be_the_agents_own(b: Simulations) -> None:
    agent, other = await b.an_agent(), await b.an_agent()
    second = await b.a_version(agent.id)
    made = await b.a_run_test(agent_definition_id=agent.id, agent_version=second.id)
    assert made.agent_version == second.id
    for unknown in (str(new_id()), other.active_version):
        with not_found("assistant version"):
            await b.a_run_test(agent_definition_id=agent.id, agent_version=unknown)
        with not_found("assistant version"):
            await b.update(made.id, agent_version=unknown)


async def test_a_run_test_keeps_the_version_that_was_active_when_it_was_made(b: Simulations) -> None:
    agent = await b.an_agent()
    made = await b.a_run_test(agent_definition_id=agent.id)
    await b.activate(agent.id, (await b.a_version(agent.id)).id)
    assert (await b.run_test_as_it_is(made.id)).agent_version == agent.active_version


async def test_an_agent_of_a_run_test_cannot_be_deleted(b: Simulations) -> None:
    made = await b.a_run_test()
    delete = assistants_pb.DeleteAssistantRequest(assistant_id=made.agent_definition)
    assistants: Any = assistants_pb2_grpc.AssistantServiceStub(b.house.channel)
    with refused(grpc.StatusCode.ABORTED, "is used by a run test"):
        await assistants.DeleteAssistant(delete, metadata=b.metadata)
    await b.run_tests.DeleteRunTest(pb.DeleteRunTestRequest(run_test_id=made.id), metadata=b.metadata)
    await assistants.DeleteAssistant(delete, metadata=b.metadata)


async def test_rows_must_be_of_the_scenarios_datasets(b: Simulations) -> None:
    dataset_id, rows = await b.a_dataset(["Why?", "How?"])
    scenario = await b.a_scenario(dataset_id=dataset_id)
    await b.a_run_test(scenario_ids=[scenario.id], dataset_row_ids=rows)
    _, others = await b.a_dataset(["When?"])
    for wrong in ([*rows, *others], [str(new_id())]):
        with not_found("dataset row"):
            await b.a_run_test(scenario_ids=[scenario.id], dataset_row_ids=wrong)


async def test_rows_that_were_chosen_must_be_of_scenarios_that_are_chosen_later_too(b: Simulations) -> None:
    dataset_id, rows = await b.a_dataset(["Why?", "How?"])
    scenario, another = await b.a_scenario(dataset_id=dataset_id), await b.a_scenario(name="another")
    made = await b.a_run_test(scenario_ids=[scenario.id], dataset_row_ids=rows)
    with not_found("dataset row"):
        await b.update(made.id, scenario_ids=ids(another.id))
    both = await b.update(made.id, scenario_ids=ids(scenario.id, another.id))
    assert len(both.scenarios) == 2
    assert list((await b.update(made.id, scenario_ids=ids(another.id), dataset_row_ids=ids())).scenarios) == [another]


async def test_evaluations_are_made_along_named_by_id_and_added(b: Simulations) -> None:
    first = await b.a_run_test(evaluations_config=[POLITE])
    [made] = first.evaluations
    assert (made.name, made.template_id, made.template_name, made.HasField("model")) == (
        "manners",
        template_id("is_polite"),
        "is_polite",
        False,
    )
    second = await b.a_run_test(eval_config_ids=[made.id], evaluations_config=[{**POLITE, "name": "new"}])
    assert [one.name for one in second.evaluations] == ["manners", "new"]
    [added] = await add(b, second.id, {**POLITE, "name": "", "error_localizer": True})
    assert (added.name, added.error_localizer) == ("is_polite", True)
    assert [one.name for one in (await b.run_test_as_it_is(second.id)).evaluations] == ["manners", "new", "is_polite"]
    assert list((await b.run_test_as_it_is(first.id)).evaluations) == [made]


async def test_the_mapping_may_stand_in_the_settings(b: Simulations) -> None:
    config = {"template_name": "is_polite", "config": {"mapping": {"output": "transcript"}}}
    [made] = (await b.a_run_test(evaluations_config=[config])).evaluations
    assert dict(made.mapping) == {"output": "transcript"}


async def test_added_evaluations_are_checked(b: Simulations) -> None:
    run_test = await b.a_run_test(evaluations_config=[POLITE])
    with invalid("evaluationsConfig: must not be empty"):
        await add(b, run_test.id)
    with invalid("evaluationsConfig: unknown templates: no_such"):
        await add(b, run_test.id, POLITE, {**POLITE, "template_name": "no_such"})
    with invalid("a run test has at most 100"):
        await add(b, run_test.id, *[POLITE] * 100)
    with not_found("run test"):
        await add(b, str(new_id()), POLITE)
    assert len((await b.run_test_as_it_is(run_test.id)).evaluations) == 1


async def test_adding_evaluations_answers_201(b: Simulations) -> None:
    request = pb.CreateEvalConfigsRequest(run_test_id=(await b.a_run_test()).id, evaluations_config=[pb.EvaluationConfig(**POLITE)])
    assert await http_code(b.run_tests.CreateEvalConfigs(request, metadata=b.metadata)) == "201"


async def test_an_update_leaves_what_it_does_not_name(b: Simulations) -> None:
    made = await b.a_run_test(description="d", evaluations_config=[POLITE])
    changed = await b.update(made.id, name="other")
    made.name = "other"
    made.updated_at.CopyFrom(changed.updated_at)
    assert changed == made


async def test_an_update_changes_what_it_names(b: Simulations) -> None:
    made = await b.a_run_test(description="d", evaluations_config=[POLITE])
    scenario, agent = await b.a_scenario(name="other"), await b.an_agent()
    changed = await b.update(
        made.id,
        description="",
        scenario_ids=ids(scenario.id),
        agent_definition_id=agent.id,
        eval_config_ids=ids(),
        evaluations_config=[{**POLITE, "name": "new"}],
    )
    assert (changed.name, changed.description, list(changed.scenarios)) == (made.name, "", [scenario])
    assert (changed.agent_definition, changed.agent_version) == (agent.id, agent.active_version)
    assert [one.name for one in changed.evaluations] == ["new"]
    assert await b.run_test_as_it_is(made.id) == changed


async def test_an_update_names_what_is_wrong(b: Simulations) -> None:
    made, unknown = await b.a_run_test(), str(new_id())
    with invalid("scenarioIds: must not be empty"):
        await b.update(made.id, scenario_ids=ids())
    with invalid("scenarioIds[1]: must be a UUID"):
        await b.update(made.id, scenario_ids=ListValue(values=[Value(string_value=unknown), Value(number_value=1)]))
    with invalid(f"scenarioIds: unknown: {unknown}"):
        await b.update(made.id, scenario_ids=ids(unknown))
    with not_found("run test"):
        await b.update(unknown, name="n")


async def test_the_status_is_that_of_the_newest_execution(b: Simulations) -> None:
    made, other = await b.a_run_test(name="one"), await b.a_run_test(name="two")
    b.house.forgetful.statuses[made.id] = "evaluating"
    assert (await b.run_test_as_it_is(made.id)).status == pb.RunTest.evaluating
    assert (await b.update(made.id, description="d")).status == pb.RunTest.evaluating
    assert [(one.id, one.status) for one in (await listed(b)).results] == [
        (other.id, pb.RunTest.pending),
        (made.id, pb.RunTest.evaluating),
    ]


async def test_without_reporting_nothing_is_told_and_nothing_changed(b: Simulations) -> None:
    made = await b.a_run_test(name="one")
    b.house.forgetful.fails = True
    for call in (b.run_test_as_it_is(made.id), listed(b), b.update(made.id, name="two")):
        with refused(grpc.StatusCode.UNAVAILABLE):
            await call
    assert await id_of(b, "one") == made.id


async def test_run_tests_are_listed_newest_first_by_name(b: Simulations) -> None:
    for name in ("smoke a", "other", "Smoke b", "smoke c"):
        await b.a_run_test(name=name, evaluations_config=[POLITE])
    page = await listed(b, search="smoke", limit=2)
    assert [one.name for one in page.results] == ["smoke c", "Smoke b"]
    assert all(len(one.scenarios) == 1 and one.evaluations[0].template_id for one in page.results)
    assert (page.count, page.total_pages, page.current_page, plain(page.previous)) == (3, 2, 1, None)
    assert plain(page.next) == f"{PUBLIC_URL}/simulate/run-tests/?page=2&limit=2&search=smoke"


@pytest.mark.parametrize(
    ("name", "sent"), [("smoke", "smoke"), ("50%25", "50%25"), ("a & b/c", "a %26 b%2Fc"), ("50% & more", "50% %26 more")]
)
async def test_a_run_test_is_found_by_name_as_a_path_spells_it(b: Simulations, name: str, sent: str) -> None:
    made = await b.a_run_test(name=name)
    answer = await b.run_tests.GetRunTestIdByName(pb.GetRunTestIdByNameRequest(name=sent), metadata=b.metadata)
    assert (answer.status, answer.result.run_test_id, answer.result.run_test_name) == (True, made.id, name)


async def test_what_is_another_workspaces_is_not_found(b: Simulations) -> None:
    theirs = await Simulations(b.house, b.house.them).a_run_test(name="theirs")
    for unknown in (theirs.id, str(new_id()), "none"):
        with not_found("run test"):
            await b.run_test_as_it_is(unknown)
        with not_found("run test"):
            await b.update(unknown, name="n")
        with not_found("run test"):
            await b.run_tests.DeleteRunTest(pb.DeleteRunTestRequest(run_test_id=unknown), metadata=b.metadata)
    with not_found("run test"):
        await id_of(b, "theirs")


async def test_a_deleted_run_test_is_gone_and_everybody_is_told(b: Simulations) -> None:
    made = await b.a_run_test()
    request = pb.DeleteRunTestRequest(run_test_id=made.id)
    assert await http_code(b.run_tests.DeleteRunTest(request, metadata=b.metadata)) == "204"
    with not_found("run test"):
        await b.run_test_as_it_is(made.id)
    async with b.house.database.connection() as sql:
        events = await sql.fetchval("SELECT count(*) FROM outbox WHERE topic = 'catalog.subject_deleted' AND key LIKE '%' || $1", made.id)
        left = await sql.fetchval("SELECT count(*) FROM run_tests WHERE id = $1", canonical_id(made.id))
    assert (events, left) == (1, 0)
    assert (b.house.forgetful.runner, b.house.forgetful.reporting) == ([made.id], [made.id])
