"""Family C, key for key: prompts, their versions with variables, and applications."""

import pytest

from tests.suite.builders import UNKNOWN, made
from tests.suite.client import Client
from tests.suite.contract import conform, page, page_of, refused
from tests.suite.contracts_prompts import APPLICATION, PROMPT, VERSION
from tests.suite.family_builders import APPLICATIONS, CASES, PROMPTS, VERSIONS, Prompts


def test_prompts_are_made_listed_changed_and_deleted(prompts: Prompts, client: Client, project: str) -> None:
    prompt = prompts.prompt(projectId=project)
    path = f"{PROMPTS}/{prompt['id']}"
    assert (prompt["projectId"], prompts.prompt()["projectId"], prompt["deletedAt"]) == (project, None, None)
    assert made(client.get(path), 200) == prompt
    assert prompt in page(client.get(PROMPTS, {"page_size": 100, "projectId": project}), PROMPT)
    assert conform(made(client.patch(path, {"title": "other", "projectId": None}), 200), PROMPT)["projectId"] == project
    assert conform(made(client.patch(path, {"projectId": ""}), 200), PROMPT)["projectId"] is None
    version, case = prompts.version(prompt), prompts.case(prompt)
    application = prompts.application(version)
    refused(client.post(PROMPTS, {"title": ""}), 400, "title")
    refused(client.post(PROMPTS), 400, "title")
    refused(client.post(PROMPTS, {"title": "x", "projectId": UNKNOWN}), 404)
    assert client.delete(path).status == 204
    for gone in (path, f"{VERSIONS}/{version['id']}", f"{APPLICATIONS}/{application['id']}", f"{CASES}/{case['id']}"):
        refused(client.get(gone), 404, reason="NOT_FOUND")
    refused(client.get(CASES, {"promptId": prompt["id"]}), 404)
    refused(client.get(VERSIONS, {"promptId": prompt["id"]}), 404)


def test_versions_are_made_listed_changed_and_deleted(prompts: Prompts, client: Client) -> None:
    prompt = prompts.prompt()
    bare = conform(made(client.post(VERSIONS, {"promptId": prompt["id"], "messages": None, "configuration": None, "title": None})), VERSION)
    assert (bare["messages"], bare["variables"], bare["configuration"], bare["promoted"], bare["draft"]) == ([], [], {}, False, False)
    first, second = prompts.version(prompt, promoted=True), prompts.version(prompt, promoted=True, draft=True, title="second")
    listed = page(client.get(VERSIONS, {"promptId": prompt["id"]}), VERSION)
    assert [version["id"] for version in listed] == [bare["id"], first["id"], second["id"]]
    assert [version["promoted"] for version in listed] == [False, False, True]
    path = f"{VERSIONS}/{first['id']}"
    changed = conform(made(client.patch(path, {"messages": [{"role": "user", "content": "{{other}}"}], "promoted": True}), 200), VERSION)
    assert (changed["promoted"], changed["variables"]) == (True, [{"name": "other", "required": True}])
    assert made(client.get(f"{VERSIONS}/{second['id']}"), 200)["promoted"] is False
    assert client.delete(path).status == 204
    refused(client.get(path), 404)
    for body, status in (({}, 400), ({"promptId": UNKNOWN}, 404), ({"promptId": "x"}, 400)):
        refused(client.post(VERSIONS, body), status)
    refused(client.post(VERSIONS, {"promptId": prompt["id"], "messages": [{"role": "x", "content": ""}]}), 400, "messages")
    refused(client.post(VERSIONS, {"promptId": prompt["id"], "configuration": {"connectionId": UNKNOWN}}), 404)
    refused(client.get(VERSIONS), 400, "promptId")


def test_applications_are_made_listed_changed_and_deleted(prompts: Prompts, client: Client) -> None:
    prompt = prompts.prompt()
    first, second = prompts.version(prompt), prompts.version(prompt)
    application = prompts.application(first)
    path = f"{APPLICATIONS}/{application['id']}"
    assert made(client.get(path), 200) == application
    assert page(client.get(APPLICATIONS, {"promptId": prompt["id"]}), APPLICATION) == [application]
    changed = conform(made(client.patch(path, {"promptVersionId": second["id"], "title": "x"}), 200), APPLICATION)
    assert (changed["promptVersionId"], changed["title"]) == (second["id"], "x")
    foreign = prompts.version(prompts.prompt())
    refused(client.patch(path, {"promptVersionId": foreign["id"]}), 400)
    good = {"promptId": prompt["id"], "promptVersionId": first["id"], "title": "x"}
    for field in good:
        refused(client.post(APPLICATIONS, {name: value for name, value in good.items() if name != field}), 400, field)
    refused(client.post(APPLICATIONS, {**good, "promptVersionId": foreign["id"]}), 400)
    refused(client.post(APPLICATIONS, {**good, "promptVersionId": UNKNOWN}), 404)
    assert client.delete(path).status == 204
    refused(client.get(path), 404)


@pytest.mark.parametrize("path", [PROMPTS, VERSIONS, APPLICATIONS])
def test_lists_have_pages(prompts: Prompts, client: Client, path: str) -> None:
    prompt = prompts.prompt()
    for _ in range(3):
        prompts.application(prompts.version(prompt))
    named = {"promptId": prompt["id"]} if path != PROMPTS else {}
    shape = {PROMPTS: PROMPT, VERSIONS: VERSION, APPLICATIONS: APPLICATION}[path]
    whole = page(client.get(path, {**named, "page_size": 100}), shape)
    parts = [page(client.get(path, {**named, "page": number, "page_size": 2}), shape) for number in (1, 2)]
    assert [*parts[0], *parts[1]] == whole[: 4 if path == PROMPTS else 3]
    assert conform(client.get(path, {**named, "page": 9999}).json, page_of(shape))["items"] == []
    for name, wrong in (("page", 0), ("page", "x"), ("page_size", 0), ("page_size", 101)):
        refused(client.get(path, {**named, name: wrong}), 400, name)
