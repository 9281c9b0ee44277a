"""Family E, key for key: assistants and their versions, conversational tests with a rubric, suites, and what triggers runs."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.suite.builders import CONNECTIONS, UNKNOWN, Builders, made, unique
from tests.suite.client import Client
from tests.suite.contract import conform, each, refused
from tests.suite.contracts_assistants import (
    ASSISTANT,
    CHANNELS,
    DELETED,
    RUN,
    RUN_STATUSES,
    SUITES as SUITE_NAMES,
    TEST,
    VERSION,
    listed,
)
from tests.suite.endpoint import Endpoint
from tests.suite.family_builders import ASSISTANTS, SUITES, TESTS, Assistants

PAGES = (("page[number]", 0), ("page[number]", "x"), ("page[size]", 0), ("page[size]", 101))
TOOL = {"type": "function", "function": {"name": "look_up", "description": "d", "parameters": {"type": "object", "properties": {}}}}


def contains(*texts: str) -> list[dict[str, str]]:
    return [{"name": f"says {text}", "criteria": f"contains: {text}"} for text in texts]


def statuses(run: dict[str, Any]) -> list[str]:
    return [detail["status"] for detail in run["detail_status"]]


@pytest.mark.parametrize("body", [None, {}, {"destination_version_id": None}, {"unknown": 1}], ids=str)
def test_the_documented_trigger_answers_a_run(assistants: Assistants, client: Client, body: Any) -> None:
    test = assistants.test(rubric=contains("hello", "goodbye"))
    run = conform(made(client.post(f"{TESTS}/{test['test_id']}/runs", body)), RUN)
    assert (run["test_id"], run["triggered_by"]) == (test["test_id"], "manual")
    assert run["status"] in RUN_STATUSES[:3]
    assert run["detail_status"] == [{"name": name, "status": "pending"} for name in ("says hello", "says goodbye")]
    assert not {"completed_at", "logs", "test_suite_run_id"} & set(run)


def test_a_run_goes_on_to_its_verdict(assistants: Assistants, client: Client) -> None:
    test = assistants.test(instructions="hello\n\nGood morning", rubric=contains("HELLO", "good Morning", "goodbye"))
    run = assistants.ended(assistants.trigger(test))
    assert (run["status"], statuses(run)) == ("failed", ["passed", "passed", "failed"])
    assert {"completed_at", "logs", "conversation_id", "updated_at"} <= set(run)
    assert run["created_at"] <= run["completed_at"]
    assert "Good morning" in run["logs"]
    assert "test_suite_run_id" not in run
    assert listed(client.get(f"{TESTS}/{test['test_id']}/runs"), RUN) == [run]


def test_a_criterion_that_nobody_can_decide_is_an_error_and_the_logs_say_why(assistants: Assistants) -> None:
    rubric = [*contains("hello"), {"name": "kind", "criteria": "The assistant is kind."}]
    run = assistants.ended(assistants.trigger(assistants.test(rubric=rubric)))
    assert (run["status"], statuses(run)) == ("error", ["passed", "error"])
    assert "kind" in run["logs"]
    assert "judge" in run["logs"].lower()


def test_a_run_asks_the_assistant_turn_by_turn(assistants: Assistants, build: Builders, endpoint: Endpoint) -> None:
    word, connection = unique("turn").replace(" ", "-"), build.endpoint(endpoint.base_url)
    assistant = assistants.assistant(connection_id=connection["id"], instructions="Be brief.", model="better", tools=[TOOL])
    test = assistants.test(assistant, instructions=f"{word} one\n{word} two", rubric=contains(f"{word} one", f"{word} two"))
    assert assistants.ended(assistants.trigger(test))["status"] == "passed"
    first, second = endpoint.asked(word)
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["messages"][0]["content"] == "Be brief."
    assert (first["model"], first["tools"]) == ("better", [TOOL])


def test_tool_calls_are_decided_without_a_judge(assistants: Assistants, build: Builders, endpoint: Endpoint) -> None:
    assistant = assistants.assistant(connection_id=build.endpoint(endpoint.base_url)["id"], tools=[TOOL])
    rubric = [{"name": name, "criteria": f"tool called: {name}"} for name in ("look_up", "book")]
    run = assistants.ended(assistants.trigger(assistants.test(assistant, instructions='call look_up {"q": "x"}', rubric=rubric)))
    assert (run["status"], statuses(run)) == ("failed", ["passed", "failed"])
    assert "look_up" in run["logs"]


def test_an_assistant_that_does_not_answer_makes_the_run_an_error(assistants: Assistants, build: Builders, endpoint: Endpoint) -> None:
    assistant = assistants.assistant(connection_id=build.endpoint(endpoint.base_url)["id"])
    run = assistants.ended(assistants.trigger(assistants.test(assistant, instructions="status 400")))
    assert (run["status"], set(statuses(run))) == ("error", {"error"})
    assert "400" in run["logs"]


def test_a_run_tests_the_version_that_it_is_told(assistants: Assistants, client: Client) -> None:
    assistant, other = assistants.assistant(), assistants.assistant()
    test = assistants.test(assistant)
    path = f"{TESTS}/{test['test_id']}/runs"
    for version in (UNKNOWN, "nonsense", other["main_version_id"], assistant["id"]):
        refused(client.post(path, {"destination_version_id": version}), 400, "destination_version_id")
    refused(client.post(path, {"destination_version_id": 5}), 400, "destination_version_id")
    assert listed(client.get(path), RUN) == []
    assert assistants.ended(assistants.trigger(test, destination_version_id=assistant["main_version_id"]))["status"] == "passed"


def test_tests_are_made_listed_changed_and_deleted(assistants: Assistants, client: Client) -> None:
    assistant = assistants.assistant()
    said = {
        "description": "d",
        "telnyx_conversation_channel": "phone_call",
        "max_duration_seconds": 3600,
        "test_suite": unique("suite"),
        "schedule": "0 6 * * 1-5",
    }
    full, bare = assistants.test(assistant, **said), assistants.test(assistant, **dict.fromkeys(said))
    assert {name: full[name] for name in said} == said
    assert (bare["telnyx_conversation_channel"], bare["destination"]) == ("web_chat", assistant["id"])
    assert not set(said) - {"telnyx_conversation_channel"} & set(bare)
    path = f"{TESTS}/{full['test_id']}"
    assert made(client.get(path), 200) == full
    for change in ({}, dict.fromkeys(full), {"unknown": 1}):
        assert conform(made(client.put(path, change), 200), TEST) == full
    cleared = {"description": "", "test_suite": "", "schedule": "", "name": "other"}
    changed = conform(made(client.put(path, cleared), 200), TEST)
    assert changed["name"] == "other"
    assert not {"description", "test_suite", "schedule"} & set(changed)
    assert client.delete(path).status == 204
    refused(client.get(path), 404, reason="NOT_FOUND")


WRONG: dict[str, list[Any]] = {
    "name": ["", "x" * 256, 5],
    "destination": [UNKNOWN, "nonsense", 5],
    "instructions": ["", "x" * 5001],
    "rubric": [[], [{"name": "n"}], [{"criteria": "c"}], "x", [{"name": "", "criteria": "c"}], [{"name": "n", "criteria": "c"}] * 2],
    "description": ["x" * 1001],
    "telnyx_conversation_channel": ["letter", "", "WEB_CHAT"],
    "max_duration_seconds": [0, 3601, "x"],
    "test_suite": ["x" * 101],
    "schedule": ["often", "* * * *", "61 * * * *", "0 0 30 2 *"],
}


@pytest.mark.parametrize("field", WRONG)
def test_what_is_no_test_is_refused(assistants: Assistants, client: Client, field: str) -> None:
    test = assistants.test()
    good = {name: test[name] for name in ("name", "destination", "instructions", "rubric")}
    for value in WRONG[field]:
        refused(client.post(TESTS, {**good, field: value}), 400, field)
        if value != "" or field == "name":
            refused(client.put(f"{TESTS}/{test['test_id']}", {field: value}), 400, field)
    if field in good:
        refused(client.post(TESTS, {**good, field: None}), 400, field)
    refused(client.post(TESTS), 400, *good)


def test_lists_are_filtered_and_paged(assistants: Assistants, client: Client) -> None:
    assistant, suite = assistants.assistant(), unique("suite")
    tests = [assistants.test(assistant, telnyx_conversation_channel=channel, test_suite=suite) for channel in CHANNELS]
    newest = [test["test_id"] for test in reversed(tests)]

    def told(**filters: object) -> list[str]:
        return [test["test_id"] for test in listed(client.get(TESTS, filters), TEST)]

    assert told(destination=assistant["id"]) == told(test_suite=suite) == newest
    assert told(destination=assistant["id"], telnyx_conversation_channel="phone_call") == [tests[0]["test_id"]]
    assert told(test_suite=suite.upper()) == told(destination=UNKNOWN) == []
    pages = [told(**{"destination": assistant["id"], "page[size]": 3, "page[number]": number}) for number in (1, 2, 3)]
    assert pages == [newest[:3], newest[3:], []]
    refused(client.get(TESTS, {"telnyx_conversation_channel": "letter"}), 400, "telnyx_conversation_channel")
    refused(client.get(TESTS, {"destination": "nonsense"}), 400, "destination")


@pytest.mark.parametrize("path", [TESTS, ASSISTANTS, "versions", "runs", "suite runs"])
def test_pages_outside_their_limits_are_refused(assistants: Assistants, client: Client, path: str) -> None:
    assistant, suite = assistants.assistant(), unique("suite")
    test = assistants.test(assistant, test_suite=suite)
    within = {
        "versions": f"{ASSISTANTS}/{assistant['id']}/versions",
        "runs": f"{TESTS}/{test['test_id']}/runs",
        "suite runs": f"{SUITES}/{quote(suite)}/runs",
    }
    shape = {TESTS: TEST, ASSISTANTS: ASSISTANT, "versions": VERSION}.get(path, RUN)
    assert listed(client.get(within.get(path, path), {"page[number]": 1000, "page[size]": 100}), shape) == []
    for name, value in PAGES:
        refused(client.get(within.get(path, path), {name: value}), 400)


def test_runs_are_listed_newest_first_and_filtered_by_status(assistants: Assistants, client: Client) -> None:
    test = assistants.test()
    runs = [assistants.ended(assistants.trigger(test)) for _ in range(3)]
    path = f"{TESTS}/{test['test_id']}/runs"
    newest = runs[::-1]
    assert listed(client.get(path), RUN) == listed(client.get(path, {"status": "passed"}), RUN) == newest
    assert listed(client.get(path, {"page[size]": 2, "page[number]": 2}), RUN) == newest[2:]
    for status in set(RUN_STATUSES) - {"passed"}:
        assert listed(client.get(path, {"status": status}), RUN) == []
    refused(client.get(path, {"status": "completed"}), 400, "status")
    another = assistants.test()
    refused(client.get(f"{TESTS}/{another['test_id']}/runs/{runs[0]['run_id']}"), 404)
    assert client.delete(f"{TESTS}/{test['test_id']}").status == 204
    refused(client.get(path), 404)
    refused(client.get(f"{path}/{runs[0]['run_id']}"), 404)


def test_a_suite_runs_all_of_its_tests(assistants: Assistants, client: Client) -> None:
    assistant, suite = assistants.assistant(), unique("a suite / of")
    tests = [assistants.test(assistant, test_suite=suite) for _ in range(3)]
    assistants.test(assistant)
    path = f"{SUITES}/{quote(suite, safe='')}"
    assert suite in conform(made(client.get(SUITES), 200), SUITE_NAMES)["data"]
    assert listed(client.get(f"{path}/runs"), RUN) == []
    bodies: list[object] = [None, {}]
    triggered = [conform(made(client.post(f"{path}/runs", body)), each(RUN)) for body in bodies]
    for runs in triggered:
        assert {run["test_id"] for run in runs} == {test["test_id"] for test in tests}
        assert len({run["test_suite_run_id"] for run in runs}) == 1
        assert {assistants.ended(run)["status"] for run in runs} == {"passed"}
    first, second = (runs[0]["test_suite_run_id"] for runs in triggered)
    assert first != second
    assert len(listed(client.get(f"{path}/runs"), RUN)) == 6
    for suite_run in (first, second):
        found = listed(client.get(f"{path}/runs", {"test_suite_run_id": suite_run, "status": "passed"}), RUN)
        assert {run["test_suite_run_id"] for run in found} == {suite_run}
        assert len(found) == 3
    assert listed(client.get(f"{path}/runs", {"test_suite_run_id": UNKNOWN}), RUN) == []
    refused(client.get(f"{path}/runs", {"test_suite_run_id": "nonsense"}), 400, "test_suite_run_id")
    for method in (client.get, client.post):
        refused(method(f"{SUITES}/nobody%20has%20it/runs"), 404, reason="NOT_FOUND")


def test_a_suite_has_a_schedule_of_its_own(assistants: Assistants, client: Client) -> None:
    suite = unique("suite")
    assistants.test(test_suite=suite)
    path = f"{SUITES}/{quote(suite)}"
    assert made(client.put(path, {"schedule": "*/5 * * * *"}), 200) == {"name": suite, "schedule": "*/5 * * * *"}
    assert made(client.put(path, {}), 200) == {"name": suite, "schedule": "*/5 * * * *"}
    refused(client.put(path, {"schedule": "often"}), 400, "schedule")
    assert made(client.put(path, {"schedule": ""}), 200) == {"name": suite}
    refused(client.put(f"{SUITES}/nobody%20has%20it", {"schedule": "* * * * *"}), 404)


def test_assistants_are_made_listed_changed_and_deleted(assistants: Assistants, client: Client, build: Builders) -> None:
    connection = build.connection()
    assistant = assistants.assistant(connection_id=connection["id"], model="echo", tools=[TOOL])
    path = f"{ASSISTANTS}/{assistant['id']}"
    assert made(client.get(path), 200) == assistant
    assert (assistant["connection_id"], assistant["model"], assistant["tools"]) == (connection["id"], "echo", [TOOL])
    assert assistant in listed(client.get(ASSISTANTS, {"page[size]": 100}), ASSISTANT)
    changed = conform(made(client.post(path, {"instructions": "Be brief.", "tools": []}), 200), ASSISTANT)
    assert (changed["name"], changed["instructions"], changed["tools"]) == (assistant["name"], "Be brief.", [])
    assert changed["main_version_id"] != assistant["main_version_id"]
    newest, oldest = listed(client.get(f"{path}/versions"), VERSION)
    assert (newest["version_id"], newest["is_main"], newest["instructions"]) == (changed["main_version_id"], True, "Be brief.")
    assert (oldest["version_id"], oldest["is_main"], oldest["instructions"]) == (assistant["main_version_id"], False, "Be kind.")
    version = conform(made(client.post(f"{path}/versions", {"instructions": "third"})), VERSION)
    assert version["is_main"] is False
    promoted = conform(made(client.post(f"{path}/versions/{version['version_id']}/promote"), 200), VERSION)
    assert promoted == {**version, "is_main": True}
    assert made(client.get(path), 200)["instructions"] == "third"
    refused(client.post(f"{path}/versions/{assistants.assistant()['main_version_id']}/promote"), 404)
    refused(client.delete(f"{CONNECTIONS}/{connection['id']}"), 409)
    assert conform(made(client.delete(path), 200), DELETED)["id"] == assistant["id"]
    refused(client.get(path), 404)


def test_what_is_no_assistant_is_refused(client: Client) -> None:
    wrong: dict[str, list[Any]] = {"name": ["", "x" * 256, 5], "connection_id": ["nonsense"], "tools": ["x", [5]], "instructions": [5]}
    for field, values in wrong.items():
        for value in values:
            refused(client.post(ASSISTANTS, {"name": "x", field: value}), 400, field)
    refused(client.post(ASSISTANTS, {"name": "x", "connection_id": UNKNOWN}), 404)
    refused(client.post(ASSISTANTS), 400, "name")


def test_the_same_key_starts_one_run(assistants: Assistants, client: Client) -> None:
    test = assistants.test(test_suite=unique("suite"))
    for path in (f"{TESTS}/{test['test_id']}/runs", f"{SUITES}/{quote(test['test_suite'])}/runs"):
        answers = [client.post(path, idempotency_key=test["test_id"]) for _ in range(2)]
        assert [answer.status for answer in answers] == [201, 201]
        assert answers[0].body == answers[1].body
    assert len(listed(client.get(f"{TESTS}/{test['test_id']}/runs"), RUN)) == 2
