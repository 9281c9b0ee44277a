"""What holds for every operation: slashes, methods, unknown fields, empty answers, and connections that are kept."""

import json
import time

import pytest

from tests.suite.builders import CONTEXTS, SETS, TEMPLATE, Builders, made, unique
from tests.suite.client import Client, exchange
from tests.suite.contract import CONTEXT, TEST_SET, conform, refused
from tests.suite.scenes import BY_NAME, CHANGES, CREATES, DELETES, OPERATIONS, READS, UPLOADS, Operation, Scene, a_scene


@pytest.mark.parametrize("operation", [*READS, *CHANGES, *CREATES, *UPLOADS], ids=str)
def test_a_trailing_slash_never_matters(scene: Scene, operation: Operation) -> None:
    slashed = Operation(
        operation.name, operation.method, operation.path + "/", operation.status, operation.body, operation.file, operation.query
    )
    assert scene.call(slashed).status == operation.status


def test_unknown_fields_and_parameters_are_ignored(client: Client, build: Builders) -> None:
    connection = build.connection()
    extra = {"colour": "blue", "id": "x", "created_at": 5, "nested": {"a": [1, None, {"b": 2}]}, "": 1}
    context = conform(made(client.post(CONTEXTS, {"name": "x", "connection_id": connection["id"], **extra})), CONTEXT)
    test_set = conform(made(client.post(SETS, {"name": "x", "context_id": context["id"], **extra})), TEST_SET)
    path = f"{SETS}/{test_set['id']}"
    assert made(client.put(path, extra), 200)["id"] == test_set["id"]
    assert client.get(path, {"colour": "blue", "test_set_id": "x", "page": "nonsense"}).status == 200
    assert made(client.put(path, {"test_set_id": "x", "name": "y"}), 200)["name"] == "y"


def test_a_body_may_come_in_chunks(client: Client, build: Builders) -> None:
    text = json.dumps({"name": "in chunks", "context_id": build.context()["id"]}).encode()
    headers = {**client.headers, "content-type": "application/json"}
    with client.connected() as connection:
        connection.request("POST", SETS, (text[at : at + 7] for at in range(0, len(text), 7)), headers, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["name"]) == (201, "in chunks")


@pytest.mark.parametrize("operation", DELETES, ids=str)
def test_a_204_has_no_body_and_its_connection_goes_on(client: Client, operation: Operation) -> None:
    scene = a_scene(client)
    for earlier in DELETES[: DELETES.index(operation)]:
        assert scene.call(earlier).status == 204
    with client.connected() as connection:
        for _ in range(2):
            assert exchange(connection, "GET", TEMPLATE, None, client.headers).status == 200
            socket = connection.sock
            answer = exchange(connection, operation.method, operation.url(scene.ids), None, client.headers)
            assert answer.status in (204, 404)
            if answer.status == 204:
                assert answer.body == b""
                assert not {"content-length", "content-type", "transfer-encoding"} & set(answer.headers)
            assert exchange(connection, "GET", CONTEXTS, None, client.headers).status == 200
            assert connection.sock is socket


def test_a_204_is_over_at_once(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    started = time.monotonic()
    with client.connected() as connection:
        assert exchange(connection, "DELETE", f"{SETS}/{test_set['id']}", None, client.headers).status == 204
    assert time.monotonic() - started < 10


def test_a_refused_body_leaves_the_connection_usable(client: Client) -> None:
    with client.connected() as connection:
        for body in (b"{", b"[]", b'{"name": 1}'):
            headers = {**client.headers, "content-type": "application/json"}
            refused(exchange(connection, "POST", SETS, body, headers), 400)
            assert exchange(connection, "GET", CONTEXTS, None, client.headers).status == 200


@pytest.mark.parametrize("operation", CREATES, ids=str)
def test_a_create_answers_201_and_what_was_made_can_be_read(scene: Scene, operation: Operation) -> None:
    answer = scene.call(operation)
    assert answer.status == 201
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    read = {"create connection": "connection_id", "create context": "context_id", "create test set": "test_set_id", "start run": "run_id"}
    if operation.name in read:
        name = operation.name.replace("create", "get").replace("start", "get")
        again = scene.call(BY_NAME[name], {read[operation.name]: answer.json["id"]})
        assert again.json["id"] == answer.json["id"]


def test_ids_are_made_in_order(build: Builders) -> None:
    sets = [build.test_set(name=unique("ordered")) for _ in range(10)]
    assert sorted(sets, key=lambda test_set: str(test_set["id"])) == sets


def test_every_documented_operation_is_in_the_table() -> None:
    documented = 18
    ours = {"stream events", "cancel run", "delete run", "get file"}
    around = [operation for operation in OPERATIONS if operation.path.startswith((CONTEXTS, "/v1/connections"))]
    assert len(OPERATIONS) == documented + len(ours) + len(around)
    assert len(around) == 10
