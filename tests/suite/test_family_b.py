"""Family B, key for key: run tests and their evaluations."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.suite.builders import UNKNOWN, made, unique
from tests.suite.client import Client
from tests.suite.contract import conform, refused
from tests.suite.contracts_simulations import (
    AGENT,
    CREATED_EVALUATIONS,
    EXECUTED,
    RUN_TEST,
    SCENARIO,
    VERSION,
    results,
)
from tests.suite.family_builders import AGENTS, RUN_TESTS, SCENARIOS, Simulations
from tests.suite.family_scenes import an_evaluation

CREATE = f"{RUN_TESTS}/create/"
TASK_COMPLETION, IS_POLITE = "5419b2e4-f155-4f0f-846f-0a3f848a74be", "122a4e83-4c5e-4a17-bcfc-1d29affba6f9"


def documented_evaluation(name: str, template_id: str, mapping: dict[str, str], keys: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "templateId": template_id,
        "templateName": name,
        "mapping": mapping,
        "config": {"mapping": mapping, "config": {}, "reasonColumn": True},
        "description": "Measures whether the model fulfilled the user's request accurately and completely.",
        "type": "futureagi_built",
        "requiredKeys": keys,
        "tags": ["TEXT", "FUTURE_EVALS", "AUDIO"],
        "errorLocalizer": True,
        "model": "turing_small",
        "eval_group": "10a3037b-5893-4997-a5d5-9d058aae10d1",
    }


def documented(scenario: dict[str, Any], agent: dict[str, Any]) -> dict[str, Any]:
    """The body of the documents; the ids are the caller's."""
    return {
        "name": unique("new-run-test"),
        "description": "",
        "scenarioIds": [scenario["id"]],
        "agentDefinitionId": agent["id"],
        "agentVersion": agent["active_version"],
        "evalConfigIds": [],
        "evaluationsConfig": [
            documented_evaluation("task_completion", TASK_COMPLETION, {"input": "transcript", "output": "transcript"}, ["input", "output"]),
            documented_evaluation("is_polite", IS_POLITE, {"output": "transcript"}, ["output"]),
        ],
        "datasetRowIds": [],
        "enableToolEvaluation": True,
    }


SNAKE = {
    "scenarioIds": "scenario_ids",
    "agentDefinitionId": "agent_definition_id",
    "agentVersion": "agent_version",
    "evalConfigIds": "eval_config_ids",
    "evaluationsConfig": "evaluations_config",
    "datasetRowIds": "dataset_row_ids",
    "enableToolEvaluation": "enable_tool_evaluation",
    "templateId": "template_id",
    "templateName": "template_name",
    "requiredKeys": "required_keys",
    "errorLocalizer": "error_localizer",
    "reasonColumn": "reason_column",
}


def in_snake_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {SNAKE.get(name, name): in_snake_case(item) for name, item in value.items()}
    return [in_snake_case(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("spelling", ["camelCase", "snake_case"])
@pytest.mark.parametrize("slash", ["/", ""])
def test_the_documented_request_is_answered_as_documented(simulations: Simulations, client: Client, spelling: str, slash: str) -> None:
    scenario, agent = simulations.scenario(), simulations.agent()
    body = documented(scenario, agent)
    sent = body if spelling == "camelCase" else in_snake_case(body)
    run_test = conform(made(client.post(CREATE.rstrip("/") + slash, sent)), RUN_TEST)
    assert (run_test["name"], run_test["description"], run_test["status"]) == (body["name"], "", "pending")
    assert (run_test["agent_definition"], run_test["agent_version"]) == (agent["id"], agent["active_version"])
    assert run_test["scenarios"] == [scenario]
    for evaluation, asked in zip(run_test["evaluations"], body["evaluationsConfig"], strict=True):
        assert evaluation == {
            "id": evaluation["id"],
            "name": asked["name"],
            "template_id": asked["templateId"],
            "template_name": asked["templateName"],
            "mapping": asked["mapping"],
            "error_localizer": True,
            "model": "turing_small",
        }
    assert simulations.read(run_test) == run_test


@pytest.mark.parametrize("nothing", ["absent", "null"])
def test_what_is_not_told_is_chosen(simulations: Simulations, nothing: str) -> None:
    optional = ("description", "agentVersion", "evalConfigIds", "evaluationsConfig", "datasetRowIds", "enableToolEvaluation")
    agent = simulations.agent()
    run_test = simulations.run_test(agent=agent, **(dict.fromkeys(optional) if nothing == "null" else {}))
    assert (run_test["description"], run_test["evaluations"], run_test["agent_version"]) == ("", [], agent["active_version"])


def test_a_configuration_may_say_little(simulations: Simulations) -> None:
    by_name, by_config = an_evaluation(), {"templateId": IS_POLITE, "config": {"mapping": {"output": "transcript"}}}
    first, second = simulations.run_test(evaluationsConfig=[by_name, by_config])["evaluations"]
    assert (first["template_id"], first["error_localizer"]) == (IS_POLITE, False)
    assert (second["name"], second["mapping"]) == ("is_polite", {"output": "transcript"})
    assert not {"model"} & {*first, *second}


def test_evaluations_are_named_by_later_run_tests(simulations: Simulations, client: Client) -> None:
    run_test = simulations.run_test()
    path = f"{RUN_TESTS}/{run_test['id']}/eval-configs/"
    body = {"evaluations_config": [an_evaluation(), an_evaluation()]}
    configs = conform(made(client.post(path, body)), CREATED_EVALUATIONS)["created_eval_configs"]
    assert [config["name"] for config in configs] == [config["name"] for config in body["evaluations_config"]]
    assert simulations.read(run_test)["evaluations"] == configs
    ids = [config["id"] for config in configs]
    another = simulations.run_test(evalConfigIds=ids, evaluationsConfig=[an_evaluation()])
    assert another["evaluations"][:2] == configs
    assert len(another["evaluations"]) == 3
    refused(client.post(path, {"evaluations_config": []}), 400)
    refused(client.post(path), 400)
    refused(client.post(path, {"evaluations_config": [{"templateName": "no such template"}]}), 400)


def test_everything_unknown_is_named_at_once(simulations: Simulations, client: Client, other: Client) -> None:
    theirs = Simulations(other)
    scenario, agent = simulations.scenario(), simulations.agent()
    unknown = [UNKNOWN, UNKNOWN[:-1] + "1", theirs.scenario()["id"]]
    good = {"name": unique("r"), "scenarioIds": [scenario["id"]], "agentDefinitionId": agent["id"]}
    text = refused(client.post(CREATE, {**good, "scenarioIds": [scenario["id"], *unknown]}), 400)
    assert all(each in str(text) for each in unknown)
    assert scenario["id"] not in str(text)
    text = refused(client.post(CREATE, {**good, "evalConfigIds": unknown[:2]}), 400)
    assert all(each in str(text) for each in unknown[:2])
    configs = [{"templateId": each, "name": "n", "mapping": {}} for each in unknown[:2]]
    text = refused(client.post(CREATE, {**good, "evaluationsConfig": configs}), 400)
    assert all(each in str(text) for each in unknown[:2])
    for wrong in (UNKNOWN, theirs.agent()["id"], scenario["id"]):
        refused(client.post(CREATE, {**good, "agentDefinitionId": wrong}), 400)
    for wrong in (UNKNOWN, theirs.agent()["active_version"], simulations.agent()["active_version"]):
        refused(client.post(CREATE, {**good, "agentVersion": wrong}), 404, reason="NOT_FOUND")
    assert results(client.get(f"{RUN_TESTS}/", {"search": good["name"]}), RUN_TEST)["count"] == 0


WRONG: dict[str, list[Any]] = {
    "name": [None, "", "x" * 256, 5],
    "scenarioIds": [None, [], ["nonsense"], "x"],
    "agentDefinitionId": [None, "", "nonsense"],
    "agentVersion": ["nonsense"],
    "evalConfigIds": [["nonsense"], "x"],
    "evaluationsConfig": [["x"], [{}], [{"templateName": "is_polite", "mapping": {}}], [{"templateName": "is_polite", "type": "mine"}]],
    "datasetRowIds": [["nonsense"]],
    "enableToolEvaluation": ["perhaps", 5],
}


@pytest.mark.parametrize("field", WRONG)
def test_what_is_no_run_test_is_refused(simulations: Simulations, client: Client, field: str) -> None:
    good = {"name": unique("r"), "scenarioIds": [simulations.scenario()["id"]], "agentDefinitionId": simulations.agent()["id"]}
    for value in WRONG[field]:
        refused(client.post(CREATE, {**good, field: value}), 400)
    refused(client.post(CREATE), 400, "name")


def test_a_name_is_used_once(simulations: Simulations, client: Client) -> None:
    run_test, another = simulations.run_test(), simulations.run_test()
    body = {"name": run_test["name"], "scenarioIds": [run_test["scenarios"][0]["id"]], "agentDefinitionId": run_test["agent_definition"]}
    refused(client.post(CREATE, body), 409)
    refused(client.patch(f"{RUN_TESTS}/{another['id']}/", {"name": run_test["name"]}), 409)
    found = made(client.get(f"{RUN_TESTS}/get-id-by-name/{quote(run_test['name'])}/"), 200)
    assert found == {"status": True, "result": {"run_test_id": run_test["id"], "run_test_name": run_test["name"]}}
    refused(client.get(f"{RUN_TESTS}/get-id-by-name/nobody/"), 404, reason="NOT_FOUND")
    assert client.delete(f"{RUN_TESTS}/{run_test['id']}/").status == 204
    refused(client.get(f"{RUN_TESTS}/{run_test['id']}/"), 404)
    made(client.post(CREATE, body))


@pytest.mark.parametrize("spelling", ["camelCase", "snake_case"])
def test_a_run_test_is_changed_field_by_field(simulations: Simulations, client: Client, spelling: str) -> None:
    run_test = simulations.run_test(description="d", evaluationsConfig=[an_evaluation()])
    path = f"{RUN_TESTS}/{run_test['id']}/"
    for change in ({}, dict.fromkeys(["name", *SNAKE]), {"unknown": 1}):
        assert {**conform(made(client.patch(path, change), 200), RUN_TEST), "updated_at": run_test["updated_at"]} == run_test
    scenarios, agent = [simulations.scenario() for _ in range(2)], simulations.agent()
    change = {
        "name": unique("changed"),
        "description": "",
        "scenarioIds": [scenario["id"] for scenario in scenarios],
        "agentDefinitionId": agent["id"],
        "evalConfigIds": [],
    }
    changed = conform(made(client.patch(path, change if spelling == "camelCase" else in_snake_case(change)), 200), RUN_TEST)
    assert (changed["name"], changed["description"], changed["evaluations"]) == (change["name"], "", [])
    assert changed["scenarios"] == scenarios
    assert (changed["agent_definition"], changed["agent_version"]) == (agent["id"], agent["active_version"])
    refused(client.patch(path, {"scenarioIds": []}), 400)
    refused(client.patch(path, {"scenarioIds": [UNKNOWN]}), 400)
    refused(client.patch(path, {"agentVersion": UNKNOWN}), 404)


@pytest.mark.parametrize("path", [RUN_TESTS, SCENARIOS, AGENTS, "versions", "executions"])
def test_lists_go_on_from_page_to_page(simulations: Simulations, client: Client, path: str) -> None:
    agent, run_test = simulations.agent(), simulations.run_test()
    word = unique("paged").replace(" ", "-") + "-%_"
    add: dict[str, Any] = {
        RUN_TESTS: lambda name: simulations.run_test(name=name),
        SCENARIOS: lambda name: simulations.scenario(name=name),
        AGENTS: lambda name: simulations.agent(agentName=name),
        "versions": lambda name: made(client.post(f"{AGENTS}/{agent['id']}/versions/create/", {"instructions": name})),
        "executions": lambda _: simulations.execute(run_test),
    }
    for number in range(3 if path != "versions" else 2):
        add[path](f"{word} {number}")
    within = {"versions": f"{AGENTS}/{agent['id']}/versions", "executions": f"{RUN_TESTS}/{run_test['id']}/executions"}
    shape = {RUN_TESTS: RUN_TEST, SCENARIOS: SCENARIO, AGENTS: AGENT, "versions": VERSION}.get(path, lambda _: "")
    url = within.get(path, path) + "/"
    named = {} if path in within else {"search": word.upper()}
    whole = results(client.get(url, named), shape)
    assert (whole["count"], whole["total_pages"], whole["current_page"]) == (3, 1, 1)
    first = results(client.get(url, {**named, "limit": 2}), shape)
    second = results(client.get("/" + first["next"].split("/", 3)[3] if "//" in first["next"] else first["next"]), shape)
    assert [item["id"] for item in [*first["results"], *second["results"]]] == [item["id"] for item in whole["results"]]
    assert (second["count"], second["total_pages"], second["current_page"]) == (3, 2, 2)
    ids = [item["id"] for item in whole["results"]]
    assert ids == sorted(ids, reverse=True)
    assert client.get(url, {**named, "page": 1000}).json["results"] == []
    for name, wrong in (("page", 0), ("page", "x"), ("limit", 0), ("limit", 101)):
        refused(client.get(url, {**named, name: wrong}), 400, name)


def test_the_same_key_starts_one_execution(simulations: Simulations, client: Client) -> None:
    run_test = simulations.run_test()
    path = f"{RUN_TESTS}/{run_test['id']}/execute/"
    answers = [client.post(path, {}, idempotency_key=run_test["id"]) for _ in range(2)]
    assert answers[0].body == answers[1].body
    conform(made(answers[0], 200), EXECUTED)
    refused(client.post(path, {"scenario_ids": [UNKNOWN]}), 400)
    refused(client.post(path, {"scenario_ids": ["nonsense"]}), 400)
