"""Unknown, malformed and another workspace's ids: one answer for all, byte for byte, and nothing is touched."""

from urllib.parse import quote

import pytest

from tests.suite.builders import COMPARE, CONTEXTS, RUNS, SETS, UNKNOWN, unique
from tests.suite.client import Answer, Client
from tests.suite.contract import refused
from tests.suite.scenes import OPERATIONS, Operation, Scene, everything

MALFORMED = (
    *(
        "nonsense",
        "1",
        "null",
        "0" * 400,
        "..",
        "%2e%2e",
        "%00",
        "%FF",
        "a%0Ab",
        quote("ünï"),
        "'; DROP TABLE runs; --".replace(" ", "%20"),
    ),
    *(UNKNOWN[:-1], UNKNOWN + "0", "{" + UNKNOWN + "}", UNKNOWN.replace("-", ""), "urn:uuid:" + UNKNOWN),
)
ROWS = [(operation, parameter) for operation in OPERATIONS for parameter in operation.parameters]
HEADERS_THAT_DIFFER = {"date", "x-request-id", "server"}


def essence(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    return answer.status, answer.body, {name: value for name, value in answer.headers.items() if name not in HEADERS_THAT_DIFFER}


@pytest.mark.parametrize(("operation", "parameter"), ROWS, ids=[f"{operation}, {parameter}" for operation, parameter in ROWS])
def test_unknown_malformed_and_foreign_ids_answer_alike(scene: Scene, other_scene: Scene, operation: Operation, parameter: str) -> None:
    unknown = scene.call(operation, {parameter: UNKNOWN})
    refused(unknown, 404, reason="NOT_FOUND")
    assert UNKNOWN not in unknown.text
    assert essence(scene.call(operation, {parameter: other_scene.ids[parameter]})) == essence(unknown)
    for text in MALFORMED:
        found = scene.call(operation, {parameter: text})
        # What has become another path by then is the gateway's to answer.
        assert found.status == 404, (text, found)
        if ".." not in text and "%2e" not in text:
            assert essence(found) == essence(unknown), text


@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS if operation.parameters], ids=str)
def test_everything_of_another_workspace_is_unknown(scene: Scene, other_scene: Scene, operation: Operation) -> None:
    refused(scene.call(operation, other_scene.ids), 404, reason="NOT_FOUND")


def test_nothing_was_touched_by_those_attempts(scene: Scene, other_scene: Scene) -> None:
    before = everything(other_scene)
    for operation in OPERATIONS:
        if operation.parameters:
            scene.call(operation, other_scene.ids)
    assert everything(other_scene) == before
    assert {status for status, _ in before.values()} == {200}


def test_an_id_of_another_kind_is_unknown(scene: Scene) -> None:
    for operation in OPERATIONS:
        for parameter in operation.parameters:
            another = scene.ids["case_id" if parameter != "case_id" else "run_id"]
            refused(scene.call(operation, {parameter: another}), 404)


def test_ids_of_another_workspace_are_unknown_in_bodies_and_queries(client: Client, scene: Scene, other_scene: Scene) -> None:
    ours, theirs = scene.ids, other_scene.ids
    for foreign in (theirs, dict.fromkeys(theirs, UNKNOWN)):
        answers = [
            client.post(CONTEXTS, {"name": unique("x"), "connection_id": foreign["connection_id"]}),
            client.put(f"{CONTEXTS}/{ours['context_id']}", {"connection_id": foreign["connection_id"]}),
            client.post(SETS, {"name": unique("s"), "context_id": foreign["context_id"]}),
            client.get(SETS, {"context_id": foreign["context_id"]}),
            client.post(RUNS, {"test_set_id": foreign["test_set_id"], "context_id": ours["context_id"]}),
            client.post(RUNS, {"test_set_id": ours["test_set_id"], "context_id": foreign["context_id"]}),
            client.get(COMPARE, {"run_a": foreign["run_id"], "run_b": ours["run_id"]}),
            client.get(COMPARE, {"run_a": ours["run_id"], "run_b": foreign["run_id"]}),
        ]
        bodies = [refused(answer, 404, reason="NOT_FOUND") for answer in answers]
        assert not any(foreign["run_id"] in str(body) for body in bodies)


def test_lists_hold_nothing_of_another_workspace(other: Client, scene: Scene) -> None:
    for path in (CONTEXTS, "/v1/connections"):
        for number in range(1, 4):
            text = other.get(path, {"page_size": 100, "page": number}).text
            assert not any(each in text for each in scene.ids.values())


@pytest.mark.parametrize("malformed", ["nonsense", UNKNOWN.replace("-", ""), UNKNOWN + "0", "ü", "1"])
def test_malformed_ids_in_bodies_and_queries_are_named(client: Client, scene: Scene, malformed: str) -> None:
    ours = scene.ids
    refused(client.post(CONTEXTS, {"name": "x", "connection_id": malformed}), 400, "connection_id", reason="INVALID_FIELD")
    refused(client.put(f"{CONTEXTS}/{ours['context_id']}", {"connection_id": malformed}), 400, "connection_id")
    refused(client.post(SETS, {"name": "s", "context_id": malformed}), 400, "context_id")
    refused(client.get(SETS, {"context_id": malformed}), 400, "context_id")
    refused(client.post(RUNS, {"test_set_id": malformed, "context_id": malformed}), 400, "test_set_id", "context_id")
    refused(client.get(COMPARE, {"run_a": malformed, "run_b": malformed}), 400, "run_a", "run_b")
