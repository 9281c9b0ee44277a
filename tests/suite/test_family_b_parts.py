"""Family B, key for key: what run tests are made of: scenarios, agents and templates."""

from typing import Any

from tests.suite.builders import UNKNOWN, Builders, made, unique
from tests.suite.client import Client
from tests.suite.contract import conform, refused
from tests.suite.contracts_simulations import (
    CREATED_AGENT,
    CREATED_SCENARIO,
    CREATED_VERSION,
    TEMPLATES as TEMPLATE_LIST,
)
from tests.suite.family_builders import AGENTS, SCENARIOS, TEMPLATES, Projects, Simulations

TASK_COMPLETION, IS_POLITE = "5419b2e4-f155-4f0f-846f-0a3f848a74be", "122a4e83-4c5e-4a17-bcfc-1d29affba6f9"
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


def test_scenarios_are_of_three_kinds(client: Client, projects: Projects) -> None:
    dataset = projects.dataset({"inputs": {"q": "hello"}})
    script = conform(made(client.post(f"{SCENARIOS}/create/", {"name": "s", "script": ["a", "b"]})), CREATED_SCENARIO)["scenario"]
    assert (script["kind"], script["script"], script["max_turns"]) == ("script", ["a", "b"], 10)
    assert not {"persona", "goal", "dataset_id", "description"} & set(script)
    body = {"name": "p", "kind": "persona", "persona": {"mood": "hurried"}, "goal": "a refund", "max_turns": 3, "description": "d"}
    persona = conform(made(client.post(f"{SCENARIOS}/create", body)), CREATED_SCENARIO)["scenario"]
    assert {name: persona[name] for name in body} == body
    for key in ("datasetId", "dataset_id"):
        of_rows = conform(made(client.post(f"{SCENARIOS}/create/", {"name": "d", key: dataset["id"]})), CREATED_SCENARIO)["scenario"]
        assert (of_rows["kind"], of_rows["dataset_id"]) == ("dataset", dataset["id"])
    assert made(client.get(f"{SCENARIOS}/{persona['id']}/"), 200) == persona


def test_what_is_no_scenario_is_refused(client: Client) -> None:
    good: dict[str, Any] = {"name": "s", "script": ["a"]}
    wrong: dict[str, list[Any]] = {
        "name": [None, "", "x" * 256],
        "kind": ["film", ""],
        "script": [[], [""], "x", None],
        "max_turns": [0, 51],
        "maxTurns": [0, 51],
        "dataset_id": ["nonsense"],
    }
    for field, values in wrong.items():
        for value in values:
            refused(client.post(f"{SCENARIOS}/create/", {**good, field: value}), 400)
    refused(client.post(f"{SCENARIOS}/create/", {"name": "d", "kind": "dataset", "datasetId": UNKNOWN}), 404)
    refused(client.post(f"{SCENARIOS}/create/", {"name": "d", "kind": "dataset"}), 400)
    refused(client.post(f"{SCENARIOS}/create/", {"name": "p", "kind": "persona"}), 400)
    refused(client.post(f"{SCENARIOS}/create/"), 400, "name")


def test_agents_and_their_versions(simulations: Simulations, client: Client, build: Builders) -> None:
    connection = build.connection()
    said = {"agentName": unique("agent"), "connectionId": connection["id"], "instructions": "Be kind.", "tools": [TOOL], "language": "fr"}
    agent = conform(made(client.post(f"{AGENTS}/create/", said)), CREATED_AGENT)["agent"]
    assert (agent["agent_name"], agent["connection_id"], agent["tools"]) == (said["agentName"], connection["id"], [TOOL])
    path = f"{AGENTS}/{agent['id']}"
    assert made(client.get(f"{path}/"), 200) == agent
    snake = {"agent_name": "snake", "connection_id": connection["id"]}
    assert conform(made(client.post(f"{AGENTS}/create", snake)), CREATED_AGENT)["agent"]["agent_name"] == "snake"
    version = conform(made(client.post(f"{path}/versions/create/", {"instructions": "Be brief."})), CREATED_VERSION)["version"]
    assert (version["is_active"], version["version_number"], version["tools"]) == (False, 2, [TOOL])
    before = simulations.run_test(agent=agent)
    activated = made(client.post(f"{path}/versions/{version['id']}/activate/"), 200)
    assert conform(activated, CREATED_VERSION)["version"] == {**version, "is_active": True}
    now = made(client.get(f"{path}/"), 200)
    assert (now["active_version"], now["instructions"]) == (version["id"], "Be brief.")
    assert simulations.read(before)["agent_version"] == agent["active_version"]
    assert simulations.run_test(agent=now)["agent_version"] == version["id"]
    # The same entity is an assistant of family E.
    assistant = made(client.get(f"/v2/ai/assistants/{agent['id']}"), 200)
    assert (assistant["name"], assistant["main_version_id"]) == (said["agentName"], version["id"])
    refused(client.post(f"{path}/versions/{simulations.agent()['active_version']}/activate/"), 404)
    for field, value in {"agentName": "", "connectionId": "nonsense", "tools": "x"}.items():
        refused(client.post(f"{AGENTS}/create/", {**said, field: value}), 400)
    refused(client.post(f"{AGENTS}/create/", {**said, "connectionId": UNKNOWN}), 404)


def test_templates_are_listed(client: Client) -> None:
    evals = conform(made(client.get(f"{TEMPLATES}/"), 200), TEMPLATE_LIST)["evals"]
    by_name = {each["name"]: each for each in evals}
    assert len(by_name) == len(evals)
    assert (by_name["task_completion"]["id"], by_name["is_polite"]["id"]) == (TASK_COMPLETION, IS_POLITE)
    assert by_name["task_completion"]["eval_required_keys"] == ["input", "output"]
    assert {each["eval_template_name"] for each in evals} == set(by_name)
