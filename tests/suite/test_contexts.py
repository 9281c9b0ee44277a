"""Connections and contexts: what a test set is run against."""

import pytest

from tests.suite.builders import CONNECTIONS, CONTEXTS, UNKNOWN, Builders, Json, made
from tests.suite.client import Client
from tests.suite.contract import CONNECTION, CONTEXT, conform, page, refused


def test_a_connection_has_defaults_and_shows_no_key_without_a_value(build: Builders) -> None:
    connection = build.connection()
    assert (connection["kind"], connection["model"], connection["has_secret"]) == ("builtin", "echo", False)
    assert not {"base_url", "requests_per_minute"} & set(connection)


def test_the_api_key_of_a_connection_is_write_only(client: Client, build: Builders) -> None:
    connection = build.endpoint(
        "http://127.0.0.1:9/v1", api_key="sk-very-secret", max_concurrency=3, requests_per_minute=60, timeout_ms=500
    )
    assert connection["has_secret"] is True
    assert (connection["max_concurrency"], connection["requests_per_minute"], connection["timeout_ms"]) == (3, 60, 500)
    path = f"{CONNECTIONS}/{connection['id']}"
    for answer in (client.get(path), client.get(CONNECTIONS, {"page_size": 100}), client.put(path, {"name": "other"})):
        assert b"sk-very-secret" not in answer.body
    assert made(client.put(path, {"api_key": ""}), 200)["has_secret"] is False


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"kind": None}, "kind"),
        ({"kind": "telepathy"}, "kind"),
        ({"kind": "openai", "base_url": None}, "base_url"),
        ({"kind": "openai", "base_url": "http://127.0.0.1:1/api"}, "base_url"),
        ({"kind": "openai", "base_url": "not a url/v1"}, "base_url"),
        ({"kind": "builtin", "model": "no such model"}, "model"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"timeout_ms": "soon"}, "timeout_ms"),
    ],
)
def test_a_wrong_value_of_a_connection_is_named(client: Client, fields: Json, wrong: str) -> None:
    refused(client.post(CONNECTIONS, {"name": "c", "kind": "builtin", "model": "echo", **fields}), 400, wrong)


def test_a_connection_is_read_changed_and_deleted(client: Client, build: Builders) -> None:
    connection = build.endpoint("http://127.0.0.1:9/v1")
    path = f"{CONNECTIONS}/{connection['id']}"
    assert made(client.get(path), 200) == connection
    changed = conform(made(client.put(path, {"name": "renamed", "model": "", "base_url": None}), 200), CONNECTION)
    assert changed == {**{k: v for k, v in connection.items() if k != "model"}, "name": "renamed", "updated_at": changed["updated_at"]}
    assert client.delete(path).status == 204
    refused(client.get(path), 404)
    refused(client.delete(path), 404)


def test_connections_are_listed_in_the_common_envelope(client: Client, build: Builders) -> None:
    connection = build.connection()
    total = made(client.get(CONNECTIONS), 200)["total"]
    items = [
        item
        for number in range(1, -(-total // 100) + 1)
        for item in page(client.get(CONNECTIONS, {"page_size": 100, "page": number}), CONNECTION)
    ]
    assert connection in items


def test_a_context_overrides_the_model_and_keeps_any_parameters(client: Client, build: Builders) -> None:
    parameters = {"temperature": 0, "stop": ["\n", "END"], "nested": {"deep": [1, None, True, {"x": 0.5}]}}
    context = build.context(statement="Be brief.", model="echo", parameters=parameters)
    assert (context["statement"], context["model"], context["parameters"]) == ("Be brief.", "echo", parameters)
    assert made(client.get(f"{CONTEXTS}/{context['id']}"), 200) == context


def test_a_context_has_an_empty_statement_and_leaves_out_what_it_lacks(build: Builders) -> None:
    context = build.context()
    assert context["statement"] == ""
    assert not {"model", "parameters"} & set(context)


def test_a_context_is_changed_field_by_field(client: Client, build: Builders) -> None:
    context = build.context(statement="first", model="echo", parameters={"a": 1})
    path, connection = f"{CONTEXTS}/{context['id']}", build.connection()
    assert made(client.put(path, {}), 200) == {**context, "updated_at": made(client.get(path), 200)["updated_at"]}
    null = made(client.put(path, {"name": None, "statement": None, "model": None, "parameters": None}), 200)
    assert null == {**context, "updated_at": null["updated_at"]}
    changed = conform(made(client.put(path, {"statement": "", "model": "", "connection_id": connection["id"]}), 200), CONTEXT)
    assert (changed["statement"], changed["connection_id"], "model" in changed) == ("", connection["id"], False)


@pytest.mark.parametrize(
    ("fields", "status", "wrong"),
    [
        ({"name": ""}, 400, ["name"]),
        ({"name": None}, 400, ["name"]),
        ({"connection_id": None}, 400, ["connection_id"]),
        ({"connection_id": "nonsense"}, 400, ["connection_id"]),
        ({"connection_id": UNKNOWN}, 404, []),
        ({"parameters": [1]}, 400, ["parameters"]),
        ({"statement": 7}, 400, ["statement"]),
    ],
)
def test_a_wrong_value_of_a_context_is_refused(client: Client, build: Builders, fields: Json, status: int, wrong: list[str]) -> None:
    body = {"name": "x", "connection_id": build.connection()["id"], **fields}
    refused(client.post(CONTEXTS, body), status, *wrong)
    context = build.context()
    if None not in fields.values():
        refused(client.put(f"{CONTEXTS}/{context['id']}", fields), status, *wrong)


def test_what_is_in_use_cannot_be_deleted(client: Client, build: Builders) -> None:
    connection = build.connection()
    context = build.context(connection)
    test_set = build.test_set(context)
    refused(client.delete(f"{CONNECTIONS}/{connection['id']}"), 409, reason="IN_USE")
    refused(client.delete(f"{CONTEXTS}/{context['id']}"), 409, reason="IN_USE")
    assert client.delete(f"/v1/evaluation/test-sets/{test_set['id']}").status == 204
    assert client.delete(f"{CONTEXTS}/{context['id']}").status == 204
    assert client.delete(f"{CONNECTIONS}/{connection['id']}").status == 204


def test_contexts_are_listed_in_the_common_envelope(client: Client, build: Builders) -> None:
    made_now = build.context()
    total = made(client.get(CONTEXTS), 200)["total"]
    pages = range(1, -(-total // 100) + 1)
    assert made_now in [item for number in pages for item in page(client.get(CONTEXTS, {"page_size": 100, "page": number}), CONTEXT)]
