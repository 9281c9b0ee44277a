"""Today's official Python clients of two families, unpatched, against the whole stack."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
import telnyx
from freeplay import Freeplay
from freeplay.errors import FreeplayError
from freeplay.model import TestRunInfo as RunInfo
from freeplay.resources.recordings import CallInfo, RecordPayload, UsageTokens
from freeplay.resources.test_cases import DatasetTestCase as DatasetCase
from telnyx.types.ai.assistants.tests.test_run_response import TestRunResponse as AssistantRun

from deploy.local.stack import Stack
from tests.suite.builders import Builders, made, unique
from tests.suite.client import Client
from tests.suite.conftest import Credentials
from tests.suite.endpoint import Endpoint

FINAL = {"passed", "failed", "error"}
RUBRIC: Any = [{"name": "greets back", "criteria": "contains: hello"}, {"name": "names the price", "criteria": "contains: 12 euros"}]
T = TypeVar("T")


def eventually(look: Callable[[], T], ends: Callable[[T], bool], seconds: float = 30) -> T:
    deadline = time.monotonic() + seconds
    while not ends(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    return seen


@pytest.fixture
def assistants(credentials: Credentials) -> telnyx.Telnyx:
    return telnyx.Telnyx(api_key=credentials.token, base_url=f"{credentials.url}/v2", max_retries=0)


@pytest.fixture
def assistant(assistants: telnyx.Telnyx) -> Any:
    return assistants.ai.assistants.create(name=unique("assistant"), instructions="Answer politely.", model="echo")


@pytest.fixture
def test(assistants: telnyx.Telnyx, assistant: Any) -> Any:
    return assistants.ai.assistants.tests.create(
        name=unique("test"),
        destination=assistant.id,
        instructions="hello there\nwhat does it cost?",
        rubric=RUBRIC,
        description="a caller asks for the price",
        telnyx_conversation_channel="web_chat",
        max_duration_seconds=60,
        test_suite=unique("suite"),
    )


def ended(assistants: telnyx.Telnyx, run: AssistantRun) -> AssistantRun:
    look = assistants.ai.assistants.tests.runs.retrieve
    return eventually(lambda: look(run.run_id, test_id=run.test_id), lambda seen: seen.status in FINAL)


def test_a_test_is_created_listed_retrieved_updated_and_deleted(assistants: telnyx.Telnyx, assistant: Any, test: Any) -> None:
    tests = assistants.ai.assistants.tests
    assert (test.destination, test.telnyx_conversation_channel, test.max_duration_seconds) == (assistant.id, "web_chat", 60)
    assert [(each.name, each.criteria) for each in test.rubric] == [(each["name"], each["criteria"]) for each in RUBRIC]
    assert [each.test_id for each in tests.list(destination=assistant.id)] == [test.test_id]
    assert tests.retrieve(test.test_id) == test
    changed = tests.update(test.test_id, name="another name", max_duration_seconds=90)
    assert (changed.name, changed.max_duration_seconds, changed.description) == ("another name", 90, test.description)
    tests.delete(test.test_id)
    with pytest.raises(telnyx.NotFoundError):
        tests.retrieve(test.test_id)


def test_a_list_goes_on_from_page_to_page(assistants: telnyx.Telnyx, assistant: Any) -> None:
    tests = assistants.ai.assistants.tests
    made_ = [
        tests.create(name=f"test {number}", destination=assistant.id, instructions="hi", rubric=RUBRIC[:1]).test_id for number in range(5)
    ]
    first = tests.list(destination=assistant.id, page_size=2)
    assert first.meta is not None
    assert (first.meta.page_number, first.meta.total_pages) == (1, 3)
    assert [each.test_id for each in first] == made_[::-1]


def test_a_triggered_run_tells_of_every_criterion_from_its_start_to_its_end(assistants: telnyx.Telnyx, test: Any) -> None:
    runs = assistants.ai.assistants.tests.runs
    run = runs.trigger(test.test_id)
    assert (run.test_id, run.triggered_by, run.status) == (test.test_id, "manual", "pending")
    assert [each.name for each in run.detail_status or []] == ["greets back", "names the price"]
    done = ended(assistants, run)
    # The assistant is an echo: it says the user's own words, and no price.
    assert done.status == "failed"
    assert {each.name: each.status for each in done.detail_status or []} == {"greets back": "passed", "names the price": "failed"}
    assert done.completed_at is not None
    assert done.completed_at >= done.created_at
    assert "hello there" in (done.logs or "")
    listed = runs.list(test.test_id)
    assert [each.run_id for each in listed] == [run.run_id]
    assert [each.run_id for each in runs.list(test.test_id, status="failed")] == [run.run_id]
    assert list(runs.list(test.test_id, status="passed")) == []


def test_a_run_tests_the_version_that_it_is_told_and_refuses_one_that_does_not_exist(
    assistants: telnyx.Telnyx, client: Client, build: Builders, endpoint: Endpoint, assistant: Any, test: Any
) -> None:
    runs = assistants.ai.assistants.tests.runs
    connection = build.endpoint(endpoint.base_url)
    version = made(client.post(f"/v2/ai/assistants/{assistant.id}/versions", {"instructions": "say", "connection_id": connection["id"]}))
    before = len(endpoint.requests)
    ended(assistants, runs.trigger(test.test_id))
    assert len(endpoint.requests) == before  # the main version still is the echo
    ended(assistants, runs.trigger(test.test_id, destination_version_id=version["version_id"]))
    assert len(endpoint.requests) > before
    for wrong in (assistant.id, "no-version"):
        with pytest.raises(telnyx.BadRequestError):
            runs.trigger(test.test_id, destination_version_id=wrong)
    with pytest.raises(telnyx.NotFoundError):
        runs.trigger("00000000-0000-0000-0000-000000000000")


def test_a_suite_runs_all_its_tests_as_one(assistants: telnyx.Telnyx, assistant: Any) -> None:
    tests, suite = assistants.ai.assistants.tests, unique("suite").replace(" ", "-")
    for name in ("one", "two"):
        tests.create(name=name, destination=assistant.id, instructions="hello", rubric=RUBRIC[:1], test_suite=suite)
    assert suite in tests.test_suites.list().data
    runs = tests.test_suites.runs.trigger(suite)
    assert len({run.test_suite_run_id for run in runs}) == 1
    assert len({run.run_id for run in runs}) == 2
    assert [ended(assistants, run).status for run in runs] == ["passed", "passed"]
    listed = tests.test_suites.runs.list(suite, test_suite_run_id=runs[0].test_suite_run_id or "")
    assert {run.run_id for run in listed} == {run.run_id for run in runs}
    with pytest.raises(telnyx.NotFoundError):
        tests.test_suites.runs.trigger("no such suite")


@pytest.fixture
def project(stack: Stack) -> str:
    return stack.env()["ASSAY_PROJECT_ID"]


@pytest.fixture
def recorder(credentials: Credentials) -> Freeplay:
    return Freeplay(freeplay_api_key=credentials.token, api_base=f"{credentials.url}/api")


def a_dataset(client: Client, project: str) -> dict[str, Any]:
    body = {"name": unique("dataset"), "description": "capitals", "input_names": ["country"], "support_history": True}
    return made(client.post(f"/api/v2/projects/{project}/prompt-datasets", body))


def recorded(recorder: Freeplay, project: str, run: RunInfo, output: str, **said: Any) -> str:
    messages = [{"role": "user", "content": "the capital?"}, {"role": "assistant", "content": output}]
    call = CallInfo(provider="openai", model="gpt", start_time=100.0, end_time=100.25, usage=UsageTokens(3, 4))
    payload = RecordPayload(project_id=project, all_messages=messages, inputs={"country": "x"}, call_info=call, test_run_info=run, **said)
    return recorder.recordings.create(payload).completion_id


def test_a_datasets_cases_go_in_and_come_out(recorder: Freeplay, client: Client, project: str) -> None:
    dataset = a_dataset(client, project)
    history: Any = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    cases = [
        DatasetCase(inputs={"country": "France"}, output="Paris", metadata={"level": "easy"}, history=history),
        DatasetCase(inputs={"country": "Peru"}, output=None),
    ]
    recorder.test_cases.create_many(project, dataset["id"], cases)
    first, second = recorder.test_cases.get(project, dataset["id"]).test_cases
    assert (first.inputs, first.output, first.metadata) == ({"country": "France"}, "Paris", {"level": "easy"})
    turn: Any = (first.history or [])[0]
    assert (turn["role"], turn["content"][0].text) == ("user", "hi")
    assert (second.inputs, second.output, second.metadata, second.history) == ({"country": "Peru"}, None, None, None)


def test_a_run_by_the_datasets_name_is_driven_by_the_client(recorder: Freeplay, client: Client, project: str) -> None:
    dataset = a_dataset(client, project)
    capitals = {"France": "Paris", "Peru": "Lima", "Chad": "N'Djamena"}
    cases = [DatasetCase(inputs={"country": country}, output=capital) for country, capital in capitals.items()]
    recorder.test_cases.create_many(project, dataset["id"], cases)
    criterion = made(
        client.post(
            f"/api/v2/projects/{project}/evaluation-criteria",
            {"name": unique("right"), "template": "equals", "mapping": {"output": "output", "expected": "case.expected_response"}},
        )
    )
    run = recorder.test_runs.create(
        project, dataset["name"], include_outputs=True, name="nightly", description="all", target_evaluation_ids=[criterion["id"]]
    )
    assert [(case.variables["country"], case.output) for case in run.get_test_cases()] == list(capitals.items())
    started = recorder.test_runs.get(project, run.test_run_id)
    assert (started.name, started.description, started.status) == ("nightly", "all", "running")
    for case in run.get_test_cases():
        output = capitals[str(case.variables["country"])] if case.variables["country"] != "Chad" else "Lagos"
        assert recorded(recorder, project, run.get_test_run_info(case.id), output, eval_results={"polite": True, "brevity": 0.5})
    done = eventually(lambda: recorder.test_runs.get(project, run.test_run_id), lambda seen: seen.status == "completed")
    tally = done.summary_statistics.auto_evaluation[criterion["name"]]
    assert (tally["passed"], tally["failed"], tally["error"]) == (2, 1, 0)
    with pytest.raises(FreeplayError, match="409"):
        recorded(recorder, project, run.get_test_run_info(run.get_test_cases()[0].id), "too late")


def test_outputs_come_along_only_when_asked_for(recorder: Freeplay, client: Client, project: str) -> None:
    dataset = a_dataset(client, project)
    recorder.test_cases.create(project, dataset["id"], DatasetCase(inputs={"country": "France"}, output="Paris"))
    assert [case.output for case in recorder.test_runs.create(project, dataset["name"]).get_test_cases()] == [None]


def test_many_recordings_at_once_are_each_kept(recorder: Freeplay, client: Client, project: str) -> None:
    dataset = a_dataset(client, project)
    recorder.test_cases.create_many(project, dataset["id"], [DatasetCase(inputs={"n": str(n)}, output=None) for n in range(100)])
    run = recorder.test_runs.create(project, dataset["name"])
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda case: recorded(recorder, project, run.get_test_run_info(case.id), "x"), run.get_test_cases()))
    eventually(lambda: recorder.test_runs.get(project, run.test_run_id), lambda seen: seen.status == "completed")
    listed = made(client.get(f"/api/v2/projects/{project}/test-runs"), 200)["test_runs"]
    assert next(each for each in listed if each["id"] == run.test_run_id)["sessions_count"] == 100
