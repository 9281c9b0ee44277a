"""Family C, key for key: test cases of a prompt, and what is generated for them."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.suite.builders import UNKNOWN, Builders, made, unique
from tests.suite.client import Client
from tests.suite.contract import conform, each, refused
from tests.suite.contracts_prompts import STARTED, TEST_CASE
from tests.suite.endpoint import Endpoint
from tests.suite.family_builders import CASES, Prompts, eventually

NULLABLE = ("messages", "variables", "variablesRichContent", "files", "expectedOutput", "answers", "promptApplicationId", "metadata")
FILE = {
    "index": 0,
    "name": "a.png",
    "mimeType": "image/png",
    "vaultUrl": "vault://a",
    "variableName": "photo",
    "url": "https://example.com/a.png",
}


def full_case(version: dict[str, Any], application: dict[str, Any]) -> dict[str, Any]:
    answer = {"promptVersionId": version["id"], "output": "Paris", "evals": [{"name": "right", "score": 1}]}
    return {
        "title": "The capital of France",
        "messages": [{"role": role, "content": role} for role in ("system", "user", "assistant", "function", "developer")],
        "variables": {"question": "Paris", "n": 1, "nested": {"a": [None]}},
        "variablesRichContent": {"photo": [{"type": "image"}]},
        "files": [FILE, {**dict.fromkeys(FILE), "index": 1, "name": "b"}],
        "promptId": version["promptId"],
        "expectedOutput": "Paris",
        "answers": {"good": [answer], "bad": [{**answer, "output": None, "evals": []}]},
        "promptApplicationId": application["id"],
        "metadata": {"source": "import", "line": 3},
    }


def test_a_full_test_case_comes_back_as_it_was_given(prompts: Prompts, client: Client) -> None:
    prompt = prompts.prompt()
    version = prompts.version(prompt)
    body = full_case(version, prompts.application(version))
    case = conform(made(client.post(CASES, body)), TEST_CASE)
    assert {name: case[name] for name in body} == body
    assert case["deletedAt"] is None
    assert case["updatedAt"] >= case["createdAt"]
    assert prompts.listed(prompt) == [case] == [made(client.get(f"{CASES}/{case['id']}"), 200)]


@pytest.mark.parametrize("nothing", ["absent", "null"])
def test_what_a_test_case_has_not_is_null(prompts: Prompts, client: Client, nothing: str) -> None:
    prompt = prompts.prompt()
    body = {"promptId": prompt["id"], **(dict.fromkeys((*NULLABLE, "title")) if nothing == "null" else {})}
    case = conform(made(client.post(CASES, body)), TEST_CASE)
    assert [case[name] for name in NULLABLE if name != "metadata"] == [None] * (len(NULLABLE) - 1)
    assert case["metadata"] in (None, {"source": "api"})
    assert case["title"]


def test_a_title_defaults_to_the_first_words(prompts: Prompts) -> None:
    case = prompts.case(
        prompts.prompt(), messages=[{"role": "user", "content": "What is the capital of France, if I may ask?"}], variables=None
    )
    assert case["title"].startswith("What is the capital")


def test_an_array_is_all_or_nothing_and_answered_as_one(prompts: Prompts, client: Client) -> None:
    prompt = prompts.prompt()
    bodies = [{"promptId": prompt["id"], "title": title} for title in ("one", "two", "three")]
    cases = conform(made(client.post(CASES, bodies)), each(TEST_CASE))
    assert [case["title"] for case in cases] == ["one", "two", "three"]
    assert [case["title"] for case in prompts.listed(prompt)] == ["one", "two", "three"]
    refused(client.post(CASES, [*bodies, {"title": "four"}]), 400)
    refused(client.post(CASES, [bodies[0], {"promptId": UNKNOWN}]), 404)
    refused(client.post(CASES, [bodies[0], "text"]), 400)
    assert len(prompts.listed(prompt)) == 3
    nothing = client.post(CASES, [])
    assert (nothing.status, nothing.json) == (201, [])


def test_what_is_no_test_case_is_refused(prompts: Prompts, client: Client, other: Client) -> None:
    prompt = prompts.prompt()
    good = {"promptId": prompt["id"]}
    for body in ({}, {"promptId": None}, {"promptId": ""}, {"promptId": "nonsense"}):
        refused(client.post(CASES, body), 400, "promptId")
    refused(client.post(CASES), 400)
    refused(client.post(CASES, {"promptId": UNKNOWN}), 404, reason="NOT_FOUND")
    refused(client.post(CASES, {"promptId": Prompts(other).prompt()["id"]}), 404)
    wrong: dict[str, list[Any]] = {
        "title": [5, "x" * 256],
        "messages": ["text", [{"role": "nobody", "content": "x"}], [{"role": "user"}], [5]],
        "variables": [[], "x"],
        "variablesRichContent": [5],
        "files": [{}, [{}], [5]],
        "expectedOutput": [5, {}],
        "answers": ["x", {"good": "x"}, {"good": [{}]}],
        "promptApplicationId": ["nonsense"],
        "metadata": [[], "x"],
    }
    for field, values in wrong.items():
        for value in values:
            refused(client.post(CASES, {**good, field: value}), 400, field)
    refused(client.post(CASES, {**good, "promptApplicationId": UNKNOWN}), 404)


def test_a_list_names_its_prompt(prompts: Prompts, client: Client, other: Client) -> None:
    assert prompts.listed(prompts.prompt()) == []
    refused(client.get(CASES), 400, "promptId")
    refused(client.get(CASES, {"promptId": ""}), 400, "promptId")
    refused(client.get(CASES, {"promptId": "nonsense"}), 400, "promptId")
    refused(client.get(CASES, {"promptId": UNKNOWN}), 404, reason="NOT_FOUND")
    refused(client.get(CASES, {"promptId": Prompts(other).prompt()["id"]}), 404)
    prompt = prompts.prompt()
    refused(client.get(CASES, {"promptId": prompt["id"], "promptVersionIds": "nonsense"}), 400, "promptVersionIds")
    refused(client.get(CASES, {"promptId": prompt["id"], "includeGenerations": "perhaps"}), 400)


def test_a_test_case_is_changed_field_by_field(prompts: Prompts, client: Client) -> None:
    prompt = prompts.prompt()
    version = prompts.version(prompt)
    body = full_case(version, prompts.application(version))
    case = made(client.post(CASES, body))
    path = f"{CASES}/{case['id']}"
    for change in ({}, dict.fromkeys([*NULLABLE, "title"]), {"unknown": 1}):
        left = conform(made(client.patch(path, change), 200), TEST_CASE)
        assert {**left, "updatedAt": case["updatedAt"]} == case
    changed = conform(
        made(client.patch(path, {"title": "other", "variables": {"a": 1}, "expectedOutput": "", "messages": []}), 200), TEST_CASE
    )
    assert (changed["title"], changed["variables"], changed["answers"]) == ("other", {"a": 1}, case["answers"])
    assert changed["expectedOutput"] in (None, "")
    assert changed["messages"] in (None, [])
    assert changed["updatedAt"] > case["updatedAt"]
    assert prompts.listed(prompt) == [changed]
    refused(client.patch(path, {"title": ""}), 400, "title")


def test_a_deleted_test_case_is_gone(prompts: Prompts, client: Client) -> None:
    prompt = prompts.prompt()
    version, (kept, gone) = prompts.version(prompt), (prompts.case(prompt), prompts.case(prompt))
    assert client.delete(f"{CASES}/{gone['id']}").status == 204
    assert [case["id"] for case in prompts.listed(prompt)] == [kept["id"]]
    for answer in (
        client.get(f"{CASES}/{gone['id']}"),
        client.patch(f"{CASES}/{gone['id']}", {"title": "x"}),
        client.delete(f"{CASES}/{gone['id']}"),
        client.post(f"{CASES}/{gone['id']}/run", {"promptVersionId": version["id"]}),
    ):
        refused(answer, 404, reason="NOT_FOUND")


def test_a_generation_is_what_the_version_makes_of_the_case(prompts: Prompts, build: Builders, endpoint: Endpoint) -> None:
    prompt, connection = prompts.prompt(), build.endpoint(endpoint.base_url)
    said = [{"role": "system", "content": "Be {{mood}}."}, {"role": "user", "content": "{{question}} {{ question }} {{mood}}"}]
    configuration = {"connectionId": connection["id"], "model": "better", "temperature": 0.5}
    version = prompts.version(prompt, messages=said, configuration=configuration)
    assert (version["messages"], version["configuration"]) == (said, configuration)
    assert version["variables"] == [{"name": "mood", "required": True}, {"name": "question", "required": True}]
    question = unique("what-is-it")
    case = prompts.case(prompt, variables={"question": question, "mood": "kind", "unused": 1})
    started = prompts.start(case, version)
    assert started["success"] is True
    generation = prompts.generated(prompt, started["generationId"])
    assert (generation["status"], generation["output"]) == ("succeeded", f"{question} {question} kind")
    assert (generation["testCaseId"], generation["promptVersionId"]) == (case["id"], version["id"])
    assert generation["latencyMs"] >= 0
    asked = endpoint.asked(question)[-1]
    assert (asked["model"], asked["temperature"], asked["messages"][0]) == ("better", 0.5, {"role": "system", "content": "Be kind."})


def test_generations_are_told_when_asked_for_and_limited_to_versions(prompts: Prompts) -> None:
    prompt = prompts.prompt()
    first, second, unused = (prompts.version(prompt, text) for text in ("{{question}}", "again {{question}}", "never"))
    one, two, judged = (
        prompts.case(prompt),
        prompts.case(prompt),
        prompts.case(prompt, answers={"good": [{"promptVersionId": second["id"], "output": "x", "evals": []}], "bad": []}),
    )
    ids = [prompts.start(case, version)["generationId"] for case, version in ((one, first), (one, second), (two, first))]
    outputs = [prompts.generated(prompt, generation)["output"] for generation in ids]
    assert outputs == ["Paris", "again Paris", "Paris"]

    def told(*versions: dict[str, Any]) -> list[tuple[str, list[str]]]:
        found = prompts.listed(prompt, *versions, generations=True)
        return [(case["id"], [generation["id"] for generation in case["generations"]]) for case in found]

    assert told() == [(one["id"], ids[:2]), (two["id"], ids[2:]), (judged["id"], [])]
    assert told(first) == [(one["id"], ids[:1]), (two["id"], ids[2:])]
    assert told(second) == [(one["id"], ids[1:2]), (judged["id"], [])]
    assert told(first, second) == told()
    assert told(unused) == []
    assert [case["id"] for case in prompts.listed(prompt, second)] == [one["id"], judged["id"]]
    assert prompts.listed(prompt, unused) == []


def test_one_generation_of_a_case_and_version_at_a_time(prompts: Prompts, build: Builders, endpoint: Endpoint) -> None:
    prompt, name = prompts.prompt(), unique("generation").replace(" ", "-")
    connection, gate = build.endpoint(endpoint.base_url), endpoint.gate(name)
    version = prompts.version(prompt, "gate {{name}}", configuration={"connectionId": connection["id"]})
    case = prompts.case(prompt, variables={"name": name})
    started = prompts.start(case, version)
    assert gate.arrived.acquire(timeout=10)
    assert prompts.start(case, version) == {"generationId": started["generationId"], "success": False}
    shown = eventually(lambda: prompts.listed(prompt, generations=True)[0]["generations"], bool)[0]
    assert (shown["id"], shown["output"], shown["completedAt"]) == (started["generationId"], None, None)
    gate.open()
    assert prompts.generated(prompt, started["generationId"])["status"] == "succeeded"
    again = prompts.start(case, version)
    assert again["success"] is True
    assert again["generationId"] != started["generationId"]


def test_a_generation_that_fails_says_why(prompts: Prompts, build: Builders, endpoint: Endpoint) -> None:
    prompt, connection = prompts.prompt(), build.endpoint(endpoint.base_url)
    version = prompts.version(prompt, "status 400", configuration={"connectionId": connection["id"]})
    generation = prompts.generated(prompt, prompts.start(prompts.case(prompt), version)["generationId"])
    assert (generation["status"], generation["output"]) == ("failed", None)
    assert "400" in generation["error"]


def test_what_cannot_be_run_is_refused(prompts: Prompts, client: Client) -> None:
    prompt = prompts.prompt()
    version, case = prompts.version(prompt, "{{question}} {{more}}"), prompts.case(prompt)
    path = f"{CASES}/{case['id']}/run"
    refused(client.post(path, {"promptVersionId": version["id"]}), 400)
    optional = prompts.version(prompt, "{{question}}{{more}}", variables=[{"name": "question"}, {"name": "more", "required": False}])
    assert conform(made(client.post(path, {"promptVersionId": optional["id"]}), 200), STARTED)["success"]
    for body in ({}, None, {"promptVersionId": "nonsense"}):
        refused(client.post(path, body), 400, "promptVersionId")
    refused(client.post(path, {"promptVersionId": UNKNOWN}), 404, reason="NOT_FOUND")
    refused(client.post(path, {"promptVersionId": prompts.version(prompts.prompt())["id"]}), 400)
    refused(client.post(f"{CASES}/{UNKNOWN}/run", {"promptVersionId": version["id"]}), 404)


@pytest.mark.parametrize("text", ["ünï 漢字 🎉", "{{not}} a 'variable'", "%_\\", "a\nb\tc", " spaced "])
def test_texts_come_back_as_they_were(prompts: Prompts, client: Client, text: str) -> None:
    prompt = prompts.prompt(title=text)
    case = prompts.case(prompt, title=text, variables={text: text}, expectedOutput=text)
    assert (prompt["title"], case["title"], case["variables"], case["expectedOutput"]) == (text, text, {text: text}, text)
    assert client.get(f"{CASES}?promptId={quote(prompt['id'])}").json == [case]
