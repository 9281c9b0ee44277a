"""Family A, key for key: test runs that the client drives, from the documented request to their end."""

from typing import Any

import pytest

from tests.suite.builders import UNKNOWN, made
from tests.suite.client import Client
from tests.suite.contract import Shape, conform, each, refused
from tests.suite.contracts_projects import (
    AGENT_CASE,
    DATASET_CASE,
    RECORDED,
    STARTED,
    TEST_RUN,
    TRACED,
)
from tests.suite.family_builders import BARE_CASE, FULL_CASE, Projects, eventually

# The body of the documents.
DOCUMENTED = {
    "include_outputs": None,
    "test_run_name": None,
    "test_run_description": None,
    "flavor_name": None,
    "target_evaluation_ids": None,
}
FLAVORS = (
    *("openai_chat", "azure_openai_chat", "anthropic_chat", "gemini_chat", "gemini_api_chat", "mistral_chat", "baseten_mistral_chat"),
    *("perplexity_chat", "openai_responses", "llama_3_chat", "amazon_bedrock_converse"),
)
ANY_JSON: list[Any] = ["text", "", True, False, 5, 0.5, [], [1, [None]], {}, {"a": {"b": None}}]


def test_the_documented_request_is_answered_as_documented(projects: Projects) -> None:
    dataset = projects.dataset(FULL_CASE, BARE_CASE)
    run = projects.start(dataset, **DOCUMENTED)
    assert dataset["name"] in run["test_run_name"]
    assert (run["test_run_description"], run["trace_test_cases"]) == ("", [])
    full, bare = run["test_cases"]
    assert (full["output"], full["output_message"]) == (None, None)
    assert (full["values"], full["metadata"], full["history"]) == (FULL_CASE["inputs"], FULL_CASE["metadata"], FULL_CASE["history"])
    assert full["media_variables"] == FULL_CASE["media_inputs"]
    nothing = {"output", "output_message", "history", "metadata", "custom_metadata", "media_variables"}
    assert {name for name, value in bare.items() if value is None} == nothing


def test_everything_that_a_run_is_told_comes_back(projects: Projects) -> None:
    dataset, criterion = projects.dataset(FULL_CASE), projects.criterion()
    said = {"test_run_name": "nightly", "test_run_description": "all of it", "flavor_name": "openai_chat"}
    run = projects.start(dataset, include_outputs=True, target_evaluation_ids=[criterion["id"]], **said)
    assert (run["test_run_name"], run["test_run_description"]) == ("nightly", "all of it")
    case = run["test_cases"][0]
    assert (case["output"], case["output_message"]) == (FULL_CASE["output"], FULL_CASE["output_message"])
    read = projects.read(run)
    assert read["id"] == read["test_run_id"] == run["test_run_id"]
    assert (read["name"], read["description"], read["status"], read["sessions_count"]) == ("nightly", "all of it", "running", 0)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_flavor_is_taken(projects: Projects, flavor: str) -> None:
    projects.start(projects.dataset(BARE_CASE), flavor_name=flavor)


def test_what_a_run_cannot_be_started_with_is_refused(projects: Projects, client: Client) -> None:
    dataset, path = projects.dataset(BARE_CASE), f"{projects.base}/test-runs"
    name = dataset["name"]
    for body in ({}, {"dataset_name": None}, {"dataset_name": ""}, None):
        refused(client.post(path, body), 400, "dataset_name")
    refused(client.post(path, {"dataset_name": "no such dataset"}), 404, reason="NOT_FOUND")
    refused(client.post(path, {"dataset_name": name.upper()}), 404)
    for wrong in ("openai", "", "OPENAI_CHAT"):
        refused(client.post(path, {"dataset_name": name, "flavor_name": wrong}), 400, "flavor_name")
    for wrong in (UNKNOWN, "nonsense", dataset["id"]):
        refused(client.post(path, {"dataset_name": name, "target_evaluation_ids": [wrong]}), 400, "target_evaluation_ids")
    for field, value in {"include_outputs": "yes", "test_run_name": 5, "target_evaluation_ids": "x", "dataset_name": []}.items():
        refused(client.post(path, {"dataset_name": name, field: value}), 400, field)
    refused(client.post(path, {"dataset_name": projects.dataset()["name"]}), 400)


def test_a_criterion_of_another_project_is_unknown(projects: Projects, client: Client, administer: Any, credentials: Any) -> None:
    second = administer("project", "create", "--workspace", credentials.workspace_id, "--name", "second")["project_id"]
    elsewhere = Projects(client, second)
    criterion, dataset = elsewhere.criterion(), elsewhere.dataset(BARE_CASE)
    ours = projects.dataset(BARE_CASE)
    body = {"dataset_name": ours["name"], "target_evaluation_ids": [criterion["id"]]}
    refused(client.post(f"{projects.base}/test-runs", body), 400, "target_evaluation_ids")
    run = elsewhere.start(dataset)
    paths = [f"prompt-datasets/{dataset['id']}", f"datasets/id/{dataset['id']}", f"datasets/name/{dataset['name'].replace(' ', '%20')}"]
    for path in (*paths, f"evaluation-criteria/id/{criterion['id']}", f"test-runs/id/{run['test_run_id']}"):
        assert client.get(f"{elsewhere.base}/{path}").status == 200, path
        refused(client.get(f"{projects.base}/{path}"), 404, reason="NOT_FOUND")
    recording = elsewhere.completion(run, run["test_cases"][0], "x")
    refused(client.post(f"{projects.base}/sessions/s/completions", recording), 404)
    # The same names may be used in another project.
    elsewhere.dataset(name=ours["name"])


@pytest.mark.parametrize("value", ANY_JSON, ids=str)
def test_trace_cases_hold_any_json(projects: Projects, client: Client, value: Any) -> None:
    case = {"inputs": value, "outputs": value, "metadata": {"m": 1}}
    dataset = projects.dataset(case, {"inputs": value}, kind="agent")
    run = projects.start(dataset, include_outputs=True)
    first, second = run["trace_test_cases"]
    assert (first["input"], first["output"], first["custom_metadata"]) == (value, value, {"m": 1})
    assert (second["input"], second["output"], second["custom_metadata"]) == (value, None, None)
    assert run["test_cases"] == []
    assert [item["output"] for item in projects.start(dataset)["trace_test_cases"]] == [None, None]
    listed = conform(client.get(f"{projects.base}/datasets/id/{dataset['id']}/test-cases").json, each(DATASET_CASE))
    assert [item["input"] for item in listed] == [value, value]
    made_again = client.post(f"{projects.base}/agent-datasets/{dataset['id']}/test-cases/bulk", {"data": [case]})
    assert conform(made(made_again), Shape({"data": each(AGENT_CASE)}))["data"][0]["input"] == value


def test_a_run_is_recorded_judged_and_read_back(projects: Projects, client: Client) -> None:
    cases = [{"inputs": {"q": word}, "output": word} for word in ("one", "two", "three")]
    dataset, criterion = projects.dataset(*cases), projects.criterion()
    run = projects.start(dataset, target_evaluation_ids=[criterion["id"]])
    path = f"{projects.base}/sessions/any-session/completions"
    first, second, third = run["test_cases"]
    for number, (case, output) in enumerate([(first, "wrong at first"), (first, "one"), (second, "not it")], start=1):
        body = projects.completion(run, case, output, eval_results={"mine": number > 1, "brevity": 0.5}, session_info=None, call_info=None)
        conform(made(client.post(path, body)), RECORDED)
    half = eventually(lambda: projects.read(run), lambda seen: seen["sessions_count"] == 2)
    assert half["status"] == "running"
    made(client.post(path, projects.completion(run, third, "three")))
    done = projects.completed(run)
    assert done["sessions_count"] == 3
    statistics = done["summary_statistics"]
    assert statistics["human_evaluation"] == {}
    assert statistics["auto_evaluation"] == {
        criterion["name"]: {"passed": 2, "failed": 1, "error": 0, "average_score": pytest.approx(2 / 3)}
    }
    assert statistics["client_evaluation"]["mine"] == {"passed": 2, "failed": 0, "error": 0, "average_score": 1}
    assert statistics["client_evaluation"]["brevity"]["average_score"] == 0.5
    refused(client.post(path, projects.completion(run, first, "too late")), 409)
    assert projects.read(run) == done
    listed = made(client.get(f"{projects.base}/test-runs"), 200)
    conform(listed, Shape({"test_runs": each(TEST_RUN)}))
    assert next(item for item in listed["test_runs"] if item["id"] == run["test_run_id"]) == done
    moments = [item["created_at"] for item in listed["test_runs"]]
    assert moments == sorted(moments, reverse=True)


def test_what_cannot_be_recorded_is_refused(projects: Projects, client: Client) -> None:
    run = projects.start(projects.dataset(BARE_CASE))
    case, path = run["test_cases"][0], f"{projects.base}/sessions/s/completions"
    good = projects.completion(run, case, "x")
    info = good["test_run_info"]
    refused(client.post(path, {**good, "messages": []}), 400, "messages")
    refused(client.post(path, {**good, "test_run_info": None}), 400, "test_run_info")
    refused(client.post(path), 400)
    refused(client.post(path, {**good, "eval_results": {"x": "good"}}), 400, "eval_results")
    for field in info:
        refused(client.post(path, {**good, "test_run_info": {**info, field: "nonsense"}}), 400, "test_run_info")
        refused(client.post(path, {**good, "test_run_info": {**info, field: UNKNOWN}}), 404, reason="NOT_FOUND")
    assert projects.read(run)["sessions_count"] == 0


@pytest.mark.parametrize(
    ("last", "output"),
    [
        ({"role": "assistant", "content": "text"}, "text"),
        ({"role": "assistant", "content": [{"type": "text", "text": "text"}]}, "text"),
        ({"role": "model", "parts": [{"text": "text"}]}, "text"),
    ],
)
def test_an_output_is_read_as_any_provider_spells_it(projects: Projects, client: Client, last: Any, output: str) -> None:
    criterion = projects.criterion()
    run = projects.start(projects.dataset({"inputs": {}, "output": output}), target_evaluation_ids=[criterion["id"]])
    body = {**projects.completion(run, run["test_cases"][0], ""), "messages": [last]}
    made(client.post(f"{projects.base}/sessions/s/completions", body))
    assert projects.completed(run)["summary_statistics"]["auto_evaluation"][criterion["name"]]["passed"] == 1


def test_traces_are_recorded_and_judged(projects: Projects, client: Client) -> None:
    dataset, criterion = (
        projects.dataset({"inputs": {"n": 1}, "outputs": "one"}, {"inputs": [2], "outputs": "two"}, kind="agent"),
        projects.criterion(),
    )
    run = projects.start(dataset, target_evaluation_ids=[criterion["id"]])
    for number, (case, output) in enumerate(zip(run["trace_test_cases"], ["one", "three"], strict=True)):
        info = {"test_run_id": run["test_run_id"], "test_case_id": case["test_case_id"]}
        body = {"agent_name": "an agent", "input": case["input"], "output": output, "eval_results": {"ok": True}, "test_run_info": info}
        path = f"{projects.base}/sessions/s/traces/id/trace-{number}"
        assert conform(made(client.post(path, body)), TRACED) == {"trace_id": f"trace-{number}"}
    done = projects.completed(run)
    assert done["summary_statistics"]["auto_evaluation"][criterion["name"]] == {"passed": 1, "failed": 1, "error": 0, "average_score": 0.5}
    assert done["summary_statistics"]["client_evaluation"]["ok"]["passed"] == 2


def test_a_closed_run_is_complete_and_what_is_missing_is_an_error(projects: Projects, client: Client) -> None:
    criterion = projects.criterion()
    run = projects.start(projects.dataset(*[{"inputs": {}, "output": "x"}] * 3), target_evaluation_ids=[criterion["id"]])
    path = f"{projects.base}/sessions/s/completions"
    made(client.post(path, projects.completion(run, run["test_cases"][1], "x")))
    close = f"{projects.base}/test-runs/id/{run['test_run_id']}/close"
    assert conform(made(client.post(close), 200), TEST_RUN)["id"] == run["test_run_id"]
    done = projects.completed(run)
    tally = done["summary_statistics"]["auto_evaluation"][criterion["name"]]
    assert (tally["passed"], tally["failed"], tally["error"], done["sessions_count"]) == (1, 0, 2, 1)
    refused(client.post(path, projects.completion(run, run["test_cases"][0], "late")), 409)
    assert conform(made(client.post(close, {}), 200), TEST_RUN) == done


def test_a_run_keeps_what_it_was_started_with(projects: Projects, client: Client) -> None:
    dataset = projects.dataset({"inputs": {}, "output": "x"})
    run = projects.start(dataset)
    made(client.post(f"{projects.base}/prompt-datasets/{dataset['id']}/test-cases/bulk", {"data": [BARE_CASE]}))
    made(client.post(f"{projects.base}/sessions/s/completions", projects.completion(run, run["test_cases"][0], "x")))
    assert projects.completed(run)["sessions_count"] == 1
    assert client.delete(f"{projects.base}/prompt-datasets/{dataset['id']}").status == 204
    refused(client.post(f"{projects.base}/test-runs", {"dataset_name": dataset["name"]}), 404)


def test_the_same_key_starts_one_run(projects: Projects, client: Client) -> None:
    body = {"dataset_name": projects.dataset(BARE_CASE)["name"]}
    answers = [client.post(f"{projects.base}/test-runs", body, idempotency_key=body["dataset_name"]) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert conform(made(answers[0]), STARTED)
