"""One of everything of families A, B, C and E in a workspace, and every operation of theirs as a row that can be called on it."""

from collections.abc import Mapping
from typing import Any

from tests.suite.builders import made, unique
from tests.suite.client import Client
from tests.suite.family_builders import (
    AGENTS,
    APPLICATIONS,
    ASSISTANTS,
    CALLS,
    CASES,
    EXECUTIONS,
    PROMPTS,
    RUN_TESTS,
    SCENARIOS,
    SUITES,
    TEMPLATES,
    TESTS,
    VERSIONS,
    Assistants,
    Projects,
    Prompts,
    Simulations,
)
from tests.suite.scenes import Ids, Operation, Scene

PROJECT = "/api/v2/projects/{project_id}"
DATASETS, CRITERIA = PROJECT + "/datasets", PROJECT + "/evaluation-criteria"
CRITERION = CRITERIA + "/id/{criterion_id}"
ASSISTANT, TEST, SUITE = ASSISTANTS + "/{assistant_id}", TESTS + "/{test_id}", SUITES + "/{suite_name}"
RUN_TEST, AGENT = RUN_TESTS + "/{run_test_id}", AGENTS + "/{agent_id}"
# Texts of the client's own: nobody looks for them.
FREE = frozenset({"session_id", "trace_id"})


def _named(_: Ids) -> object:
    return {"name": unique("named")}


def _titled(_: Ids) -> object:
    return {"title": "another title"}


def _nothing(_: Ids) -> object:
    return {}


def _info(ids: Ids, case: str, run: str) -> dict[str, object]:
    return {"test_run_info": {"test_run_id": ids[run], "test_case_id": ids[case]}}


def _of_datasets(kind: str, case: Mapping[str, Any]) -> list[Operation]:
    base, one = f"{PROJECT}/{kind}-datasets", f"{PROJECT}/{kind}-datasets/{{{kind}_dataset_id}}"
    return [
        Operation(f"create {kind} dataset", "POST", base, 201, _named),
        Operation(f"list {kind} datasets", "GET", base),
        Operation(f"get {kind} dataset", "GET", one),
        Operation(f"update {kind} dataset", "PATCH", one, body=lambda _: {"description": "another"}),
        Operation(f"bulk create {kind} cases", "POST", one + "/test-cases/bulk", 201, lambda _: {"data": [dict(case)]}),
        Operation(f"delete {kind} dataset", "DELETE", one, 204),
    ]


OF_PROJECTS = (
    *_of_datasets("prompt", {"inputs": {"x": "y"}}),
    *_of_datasets("agent", {"inputs": "x"}),
    Operation("get dataset", "GET", DATASETS + "/id/{prompt_dataset_id}"),
    Operation("get dataset by name", "GET", DATASETS + "/name/{dataset_name}"),
    Operation("list dataset cases", "GET", DATASETS + "/id/{prompt_dataset_id}/test-cases"),
    Operation("list dataset cases by name", "GET", DATASETS + "/name/{dataset_name}/test-cases"),
    Operation(
        "create dataset cases", "POST", DATASETS + "/id/{prompt_dataset_id}/test-cases", 201, lambda _: {"examples": [{"inputs": {}}]}
    ),
    Operation(
        "create criterion", "POST", CRITERIA, 201, lambda _: {"name": unique("c"), "template": "is_polite", "mapping": {"output": "output"}}
    ),
    Operation("list criteria", "GET", CRITERIA),
    Operation("get criterion", "GET", CRITERION),
    Operation("update criterion", "PATCH", CRITERION, body=lambda _: {"passing_score": 0.5}),
    Operation("delete criterion", "DELETE", CRITERION, 204),
    Operation("start project run", "POST", PROJECT + "/test-runs", 201, lambda ids: {"dataset_name": ids["dataset_name"]}),
    Operation("list project runs", "GET", PROJECT + "/test-runs"),
    Operation("get project run", "GET", PROJECT + "/test-runs/id/{test_run_id}"),
    Operation(
        "record completion",
        "POST",
        PROJECT + "/sessions/{session_id}/completions",
        201,
        lambda ids: {"messages": [{"role": "assistant", "content": "y"}], **_info(ids, "prompt_case_id", "test_run_id")},
    ),
    Operation(
        "record trace",
        "POST",
        PROJECT + "/sessions/{session_id}/traces/id/{trace_id}",
        201,
        lambda ids: {"input": "x", "output": "y", **_info(ids, "agent_case_id", "trace_run_id")},
    ),
    Operation("close project run", "POST", PROJECT + "/test-runs/id/{test_run_id}/close", 200),
)

OF_SIMULATIONS = (
    Operation(
        "create run test",
        "POST",
        RUN_TESTS + "/create/",
        201,
        lambda ids: {"name": unique("r"), "scenarioIds": [ids["scenario_id"]], "agentDefinitionId": ids["agent_id"]},
    ),
    Operation("list run tests", "GET", RUN_TESTS + "/"),
    Operation("get run test", "GET", RUN_TEST + "/"),
    Operation("find run test", "GET", RUN_TESTS + "/get-id-by-name/{run_test_name}/"),
    Operation("update run test", "PATCH", RUN_TEST + "/", body=lambda _: {"description": "another"}),
    Operation("execute run test", "POST", RUN_TEST + "/execute/", 200, _nothing),
    Operation("list executions", "GET", RUN_TEST + "/executions/"),
    Operation("summarize evaluations", "GET", RUN_TEST + "/eval-summary/"),
    Operation("create evaluations", "POST", RUN_TEST + "/eval-configs/", 201, lambda _: {"evaluations_config": [an_evaluation()]}),
    Operation("chat", "POST", RUN_TEST + "/chat-execute/", 200, _nothing),
    Operation("take calls", "POST", EXECUTIONS + "/{execution_id}/chat/call-executions/batch/", 200, _nothing),
    Operation("send message", "POST", CALLS + "/{call_id}/chat/send-message/", 200, lambda _: {"initiate_chat": True}),
    Operation("end call", "PATCH", CALLS + "/{call_id}/", 200, lambda _: {"status": "completed", "ended_reason": "done"}),
    Operation("create scenario", "POST", SCENARIOS + "/create/", 201, lambda _: {"name": unique("s"), "script": ["hello"]}),
    Operation("list scenarios", "GET", SCENARIOS + "/"),
    Operation("get scenario", "GET", SCENARIOS + "/{scenario_id}/"),
    Operation(
        "create agent", "POST", AGENTS + "/create/", 201, lambda ids: {"agentName": unique("a"), "connectionId": ids["connection_id"]}
    ),
    Operation("list agents", "GET", AGENTS + "/"),
    Operation("get agent", "GET", AGENT + "/"),
    Operation("create agent version", "POST", AGENT + "/versions/create/", 201, lambda _: {"instructions": "Be brief."}),
    Operation("list agent versions", "GET", AGENT + "/versions/"),
    Operation("activate agent version", "POST", AGENT + "/versions/{agent_version_id}/activate/", 200),
    Operation("list templates", "GET", TEMPLATES + "/"),
    Operation("delete run test", "DELETE", RUN_TEST + "/", 204),
)

OF_PROMPTS = (
    Operation("create prompt", "POST", PROMPTS, 201, lambda _: {"title": unique("p")}),
    Operation("list prompts", "GET", PROMPTS),
    Operation("get prompt", "GET", PROMPTS + "/{prompt_id}"),
    Operation("update prompt", "PATCH", PROMPTS + "/{prompt_id}", body=_titled),
    Operation("create prompt version", "POST", VERSIONS, 201, lambda ids: {"promptId": ids["prompt_id"]}),
    Operation("list prompt versions", "GET", VERSIONS, query="?promptId={prompt_id}"),
    Operation("get prompt version", "GET", VERSIONS + "/{prompt_version_id}"),
    Operation("update prompt version", "PATCH", VERSIONS + "/{prompt_version_id}", body=_titled),
    Operation(
        "create application",
        "POST",
        APPLICATIONS,
        201,
        lambda ids: {"promptId": ids["prompt_id"], "promptVersionId": ids["prompt_version_id"], "title": "x"},
    ),
    Operation("list applications", "GET", APPLICATIONS),
    Operation("get application", "GET", APPLICATIONS + "/{application_id}"),
    Operation("update application", "PATCH", APPLICATIONS + "/{application_id}", body=_titled),
    Operation("create prompt case", "POST", CASES, 201, lambda ids: {"promptId": ids["prompt_id"]}),
    Operation("list prompt cases", "GET", CASES, query="?promptId={prompt_id}"),
    Operation("get prompt case", "GET", CASES + "/{test_case_id}"),
    Operation("update prompt case", "PATCH", CASES + "/{test_case_id}", body=_titled),
    Operation("run prompt case", "POST", CASES + "/{test_case_id}/run", 200, lambda ids: {"promptVersionId": ids["prompt_version_id"]}),
    Operation("delete prompt case", "DELETE", CASES + "/{test_case_id}", 204),
    Operation("delete application", "DELETE", APPLICATIONS + "/{application_id}", 204),
    Operation("delete prompt version", "DELETE", VERSIONS + "/{prompt_version_id}", 204),
    Operation("delete prompt", "DELETE", PROMPTS + "/{prompt_id}", 204),
)


def _a_test(ids: Ids) -> object:
    rubric = [{"name": "n", "criteria": "contains: x"}]
    return {"name": unique("t"), "destination": ids["assistant_id"], "instructions": "hello", "rubric": rubric}


OF_ASSISTANTS = (
    Operation("create assistant", "POST", ASSISTANTS, 201, _named),
    Operation("list assistants", "GET", ASSISTANTS),
    Operation("get assistant", "GET", ASSISTANT),
    Operation("update assistant", "POST", ASSISTANT, 200, _named),
    Operation("patch assistant", "PATCH", ASSISTANT, 200, _named),
    Operation("create assistant version", "POST", ASSISTANT + "/versions", 201, lambda _: {"instructions": "Be brief."}),
    Operation("list assistant versions", "GET", ASSISTANT + "/versions"),
    Operation("get assistant version", "GET", ASSISTANT + "/versions/{assistant_version_id}"),
    Operation("promote assistant version", "POST", ASSISTANT + "/versions/{assistant_version_id}/promote"),
    Operation("create test", "POST", TESTS, 201, _a_test),
    Operation("list tests", "GET", TESTS),
    Operation("get test", "GET", TEST),
    Operation("update test", "PUT", TEST, body=_named),
    Operation("trigger test", "POST", TEST + "/runs", 201),
    Operation("list test runs", "GET", TEST + "/runs"),
    Operation("get test run", "GET", TEST + "/runs/{run_id}"),
    Operation("list suites", "GET", SUITES),
    Operation("update suite", "PUT", SUITE, body=lambda _: {"schedule": ""}),
    Operation("trigger suite", "POST", SUITE + "/runs", 201),
    Operation("list suite runs", "GET", SUITE + "/runs"),
    Operation("delete test", "DELETE", TEST, 204),
    Operation("delete assistant", "DELETE", ASSISTANT, 200),
)
FAMILIES: Mapping[str, tuple[Operation, ...]] = {"A": OF_PROJECTS, "B": OF_SIMULATIONS, "C": OF_PROMPTS, "E": OF_ASSISTANTS}
FAMILY_OPERATIONS = tuple(operation for operations in FAMILIES.values() for operation in operations)


def an_evaluation(**fields: object) -> dict[str, object]:
    """An evaluation configuration to be made."""
    return {"name": unique("evaluation"), "templateName": "is_polite", "mapping": {"output": "transcript"}, **fields}


def a_family_scene(client: Client, project: str) -> Scene:
    """A new one of everything, for tests that change nothing of it."""
    return Scene(client, {**_projects(Projects(client, project)), **_simulations(client), **_prompts(client), **_assistants(client)})


def _projects(build: Projects) -> dict[str, str]:
    prompts = build.dataset({"inputs": {"x": "y"}, "output": "y"}, name=unique("dataset").replace(" ", "-"))
    agents = build.dataset({"inputs": "x", "outputs": "y"}, kind="agent")
    run, traces = build.start(prompts), build.start(agents)
    return {
        "project_id": build.project,
        "prompt_dataset_id": prompts["id"],
        "dataset_name": prompts["name"],
        "agent_dataset_id": agents["id"],
        "criterion_id": build.criterion()["id"],
        "test_run_id": run["test_run_id"],
        "trace_run_id": traces["test_run_id"],
        "prompt_case_id": run["test_cases"][0]["id"],
        "agent_case_id": traces["trace_test_cases"][0]["test_case_id"],
        "session_id": "a-session",
        "trace_id": "a-trace",
    }


def _simulations(client: Client) -> dict[str, str]:
    build = Simulations(client)
    agent, scenario = build.agent(), build.scenario()
    run_test = build.run_test(scenario, agent=agent, name=unique("run-test").replace(" ", "-"))
    chat = made(client.post(f"{RUN_TESTS}/{run_test['id']}/chat-execute/", {}), 200)["result"]
    calls = made(client.post(f"{EXECUTIONS}/{chat['execution_id']}/chat/call-executions/batch/", {}), 200)["result"]
    return {
        "agent_id": agent["id"],
        "agent_version_id": agent["active_version"],
        "connection_id": agent["connection_id"],
        "scenario_id": scenario["id"],
        "run_test_id": run_test["id"],
        "run_test_name": run_test["name"],
        "execution_id": chat["execution_id"],
        "call_id": calls["call_execution_ids"][0],
    }


def _prompts(client: Client) -> dict[str, str]:
    build = Prompts(client)
    prompt = build.prompt()
    version, case = build.version(prompt), build.case(prompt)
    return {
        "prompt_id": prompt["id"],
        "prompt_version_id": version["id"],
        "application_id": build.application(version)["id"],
        "test_case_id": case["id"],
    }


def _assistants(client: Client) -> dict[str, str]:
    build = Assistants(client)
    assistant = build.assistant()
    test = build.test(assistant, test_suite=unique("suite").replace(" ", "-"))
    return {
        "assistant_id": assistant["id"],
        "assistant_version_id": assistant["main_version_id"],
        "test_id": test["test_id"],
        "suite_name": test["test_suite"],
        "run_id": build.ended(build.trigger(test))["run_id"],
    }
