"""Family A, key for key: datasets of a project with their cases, and evaluation criteria."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.suite.builders import made, unique
from tests.suite.client import Client
from tests.suite.contract import Shape, conform, each, refused
from tests.suite.contracts_projects import (
    CRITERION,
    DATASET,
    DATASET_CASE,
    PROMPT_CASE,
    data,
)
from tests.suite.family_builders import BARE_CASE, FULL_CASE, Projects


@pytest.mark.parametrize("kind", ["prompt", "agent"])
def test_a_dataset_is_made_listed_read_changed_and_deleted(projects: Projects, client: Client, kind: str) -> None:
    said: dict[str, Any] = {"description": "d", "input_names": ["a", "b"]}
    if kind == "prompt":
        said |= {"media_input_names": ["m"], "support_history": True}
    dataset, path = projects.dataset(kind=kind, **said), f"{projects.base}/{kind}-datasets"
    assert {name: dataset[name] for name in said} == said
    assert conform(made(client.get(f"{path}/{dataset['id']}"), 200), DATASET) == dataset
    assert conform(made(client.get(f"{projects.base}/datasets/id/{dataset['id']}"), 200), DATASET) == dataset
    by_name = f"{projects.base}/datasets/name/{dataset['name'].replace(' ', '%20')}"
    assert conform(made(client.get(by_name), 200), DATASET) == dataset
    changed = conform(made(client.patch(f"{path}/{dataset['id']}", {"description": "", "input_names": [], "name": None}), 200), DATASET)
    assert (changed["name"], changed["description"], changed["input_names"]) == (dataset["name"], "", [])
    other = projects.dataset()
    for body in ({"name": other["name"]}, {"name": dataset["name"]}):
        refused(client.post(f"{projects.base}/prompt-datasets", body), 409)
        refused(client.post(f"{projects.base}/agent-datasets", body), 409)
    refused(client.patch(f"{path}/{dataset['id']}", {"name": other["name"]}), 409)
    refused(client.post(path, {"name": ""}), 400, "name")
    refused(client.post(path), 400, "name")
    another = {"prompt": "agent", "agent": "prompt"}[kind]
    refused(client.get(f"{projects.base}/{another}-datasets/{dataset['id']}"), 404)
    assert client.delete(f"{path}/{dataset['id']}").status == 204
    refused(client.get(f"{path}/{dataset['id']}"), 404)
    projects.dataset(name=dataset["name"])


@pytest.mark.parametrize("path", ["prompt-datasets", "agent-datasets", "evaluation-criteria"])
def test_a_list_goes_on_from_page_to_page(projects: Projects, client: Client, path: str) -> None:
    shape = CRITERION if path == "evaluation-criteria" else DATASET
    for _ in range(3):
        if path == "evaluation-criteria":
            projects.criterion()
        else:
            projects.dataset(kind=path.partition("-")[0])
    url = f"{projects.base}/{path}"
    assert data(client.get(url), shape, page=1, page_size=30)
    seen: list[str] = []
    page, more = 1, True
    while more:
        answer = client.get(url, {"page": page, "page_size": 2})
        seen += [item["id"] for item in data(answer, shape, page=page, page_size=2)]
        more, page = answer.json["pagination"]["has_next"], page + 1
    assert len(seen) == len(set(seen)) >= 3
    assert seen == sorted(seen)
    assert data(client.get(url, {"page": 1000}), shape, page=1000, has_next=False) == []
    for name, wrong in {"page": 0, "page_size": 0}.items():
        refused(client.get(url, {name: wrong}), 400, name)
    refused(client.get(url, {"page_size": 101}), 400, "page_size")
    refused(client.get(url, {"page": "x"}), 400, "page")


def test_cases_of_a_prompt_dataset_are_kept_as_given(projects: Projects, client: Client) -> None:
    dataset = projects.dataset()
    bulk, single = (
        f"{projects.base}/prompt-datasets/{dataset['id']}/test-cases/bulk",
        f"{projects.base}/datasets/id/{dataset['id']}/test-cases",
    )
    first = conform(made(client.post(bulk, {"data": [FULL_CASE, BARE_CASE]})), Shape({"data": each(PROMPT_CASE)}))["data"]
    nulls = dict.fromkeys(("output", "output_message", "metadata", "history", "media_inputs"))
    second = conform(made(client.post(single, {"examples": [{"inputs": {"n": 3}, **nulls}]})), Shape({"data": each(DATASET_CASE)}))["data"]
    answer = client.get(single)
    assert answer.status == 200
    listed = conform(answer.json, each(DATASET_CASE))
    assert [case["id"] for case in listed] == [case["id"] for case in [*first, *second]]
    assert not any("input" in case for case in listed)
    assert {name: listed[0][name] for name in ("output", "output_message", "history", "metadata")} == {
        name: FULL_CASE[name] for name in ("output", "output_message", "history", "metadata")
    }
    assert listed[0]["values"] == FULL_CASE["inputs"] == first[0]["inputs"]
    assert listed[2] == {
        "id": second[0]["id"],
        "values": {"n": 3},
        "output": None,
        "output_message": None,
        "history": None,
        "metadata": None,
    }
    assert client.get(f"{projects.base}/datasets/name/{dataset['name'].replace(' ', '%20')}/test-cases").json == listed


def test_cases_are_taken_all_or_none_and_each_fault_is_named(projects: Projects, client: Client) -> None:
    dataset = projects.dataset(BARE_CASE)
    path = f"{projects.base}/prompt-datasets/{dataset['id']}/test-cases/bulk"
    wrong: list[Mapping[str, Any]] = [
        {},
        {"inputs": None},
        {"inputs": "text"},
        {"inputs": {}, "output": 5},
        {"inputs": {}, "metadata": []},
        {"inputs": {}, "history": [{"role": "nobody", "content": "x"}]},
        {"inputs": {}, "output_message": {"role": "user"}},
    ]
    for case in wrong:
        refused(client.post(path, {"data": [BARE_CASE, case]}), 400, "data")
    assert len(client.get(f"{projects.base}/datasets/id/{dataset['id']}/test-cases").json) == 1


def test_a_criterion_is_made_listed_read_changed_and_deleted(projects: Projects, client: Client) -> None:
    path = f"{projects.base}/evaluation-criteria"
    criterion = projects.criterion(passing_score=0.25, is_enabled=True)
    one = f"{path}/id/{criterion['id']}"
    assert conform(made(client.get(one), 200), CRITERION) == criterion
    changed = conform(made(client.patch(one, {"passing_score": 0.75, "is_enabled": False, "name": None}), 200), CRITERION)
    assert (changed["name"], changed["passing_score"], changed["is_enabled"]) == (criterion["name"], 0.75, False)
    refused(
        client.post(
            f"{projects.base}/test-runs", {"dataset_name": projects.dataset(BARE_CASE)["name"], "target_evaluation_ids": [criterion["id"]]}
        ),
        400,
    )
    good = {"name": unique("c"), "template": "equals", "mapping": criterion["mapping"]}
    refused(client.post(path, {**good, "name": criterion["name"]}), 409)
    for field, wrong in {"name": "", "template": "no such template", "mapping": {"output": "output"}, "passing_score": 1.5}.items():
        refused(client.post(path, {**good, field: wrong}), 400, field)
    refused(client.post(path), 400, "name", "template")
    assert client.delete(one).status == 204
    refused(client.get(one), 404)
