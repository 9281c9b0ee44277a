"""Families A, B, C and E alike: every operation, with wrong ids, all kinds of credentials, slashes, and keys that make it safe to repeat."""

from dataclasses import replace
from http import HTTPStatus

import pytest

from deploy.local.binaries import ROOT
from gateway.routed import public_services, read_descriptor
from tests.suite.builders import UNKNOWN, unique
from tests.suite.client import Answer, Client
from tests.suite.conftest import Credentials
from tests.suite.contract import refused
from tests.suite.family_scenes import FAMILIES, FAMILY_OPERATIONS, FREE
from tests.suite.scenes import Operation, Scene
from tests.suite.test_credentials import BAD, GOOD
from tests.suite.test_not_found import essence

MALFORMED_IDS = ("nonsense", "0" * 400, "%00", "%FF", "a%0Ab", UNKNOWN[:-1], UNKNOWN.replace("-", ""), "urn:uuid:" + UNKNOWN)
ROWS = [(operation, name) for operation in FAMILY_OPERATIONS for name in operation.parameters if name not in FREE]
READS = [operation for operation in FAMILY_OPERATIONS if not operation.writes]
# What was recorded last counts, so that a recording needs no key.
ADDITIONS = [
    operation
    for operation in FAMILY_OPERATIONS
    if operation.method == "POST" and operation.status == HTTPStatus.CREATED and not operation.name.startswith("record")
]
TOLD = frozenset({"name", "title", "agentName", "instructions", "dataset_name"})
BY_NAME = {operation.name: operation for operation in FAMILY_OPERATIONS}
OF_D = ("/v1/",)


def spelled(method: str, path: str) -> tuple[str, str]:
    """A route without the names of its ids."""
    parts = ["{}" if part.startswith("{") else part for part in path.rstrip("/").split("/")]
    return method, "/".join(parts)


def test_every_routed_operation_is_tried() -> None:
    routed = {
        spelled(route.verb, route.path)
        for service in public_services(read_descriptor(ROOT / "gen" / "assay.pb"))
        for method in service.methods
        for route in method.routes
        if not route.path.startswith(OF_D)
    }
    assert {spelled(operation.method, operation.path) for operation in FAMILY_OPERATIONS} == routed


@pytest.mark.parametrize(("operation", "parameter"), ROWS, ids=[f"{operation}, {parameter}" for operation, parameter in ROWS])
def test_unknown_malformed_and_foreign_ids_answer_alike(
    family_scene: Scene, other_family_scene: Scene, operation: Operation, parameter: str
) -> None:
    unknown = family_scene.call(operation, {parameter: UNKNOWN})
    refused(unknown, 404, reason="NOT_FOUND")
    assert UNKNOWN not in unknown.text
    foreign = other_family_scene.ids[parameter]
    assert essence(family_scene.call(operation, {parameter: foreign})) == essence(unknown)
    for text in MALFORMED_IDS:
        found = family_scene.call(operation, {parameter: text})
        assert found.status == 404, (text, found)
        if parameter.endswith("_id"):
            assert essence(found) == essence(unknown), text


@pytest.mark.parametrize("operation", [operation for operation in FAMILY_OPERATIONS if operation.parameters], ids=str)
def test_everything_of_another_workspace_is_unknown(family_scene: Scene, other_family_scene: Scene, operation: Operation) -> None:
    ids = {name: other_family_scene.ids[name] for name in operation.parameters}
    refused(family_scene.call(operation, ids), 404, reason="NOT_FOUND")


def test_nothing_was_touched_by_those_attempts(family_scene: Scene, other_family_scene: Scene) -> None:
    before = [other_family_scene.call(operation).body for operation in READS]
    for operation in FAMILY_OPERATIONS:
        if operation.parameters:
            family_scene.call(operation, {name: other_family_scene.ids[name] for name in operation.parameters})
    assert [other_family_scene.call(operation).body for operation in READS] == before


@pytest.mark.parametrize("operation", READS, ids=str)
def test_nothing_of_another_workspace_is_told(family_scene: Scene, other_family_scene: Scene, operation: Operation) -> None:
    found = family_scene.call(operation)
    assert found.status == 200, found
    assert not any(theirs in found.text for name, theirs in other_family_scene.ids.items() if name.endswith("_id") and name not in FREE)


@pytest.mark.parametrize("operation", READS, ids=str)
def test_every_kind_of_credentials_reads(family_scene: Scene, credentials: Credentials, operation: Operation) -> None:
    answers = {
        kind: family_scene.call(operation, client=family_scene.client.having(headers(credentials))) for kind, headers in GOOD.items()
    }
    answers["a token without scopes"] = family_scene.call(operation, client=without_scope(family_scene.client, credentials))
    assert {kind: answer for kind, answer in answers.items() if answer.status != 200} == {}
    assert len({answer.body for answer in answers.values()}) == 1


def without_scope(client: Client, credentials: Credentials) -> Client:
    return client.having({"authorization": f"Bearer {credentials.plain_token}"})


@pytest.mark.parametrize("kind", [*GOOD, "a token without scopes"])
@pytest.mark.parametrize("name", ["create criterion", "create agent", "create prompt", "create test"])
def test_every_kind_of_credentials_writes(family_scene: Scene, credentials: Credentials, name: str, kind: str) -> None:
    plain = without_scope(family_scene.client, credentials)
    client = plain if kind not in GOOD else family_scene.client.having(GOOD[kind](credentials))
    assert family_scene.call(BY_NAME[name], client=client).status == 201


@pytest.mark.parametrize("operation", FAMILY_OPERATIONS, ids=str)
def test_without_credentials_nothing_is_answered(family_scene: Scene, credentials: Credentials, operation: Operation) -> None:
    for kind in ("none", "an expired JWT", "two workspaces, token and pair"):
        answer = family_scene.call(operation, client=family_scene.client.having(BAD[kind](credentials)))
        refused(answer, 401, reason="UNAUTHENTICATED")


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("family", FAMILIES)
def test_no_wrong_credentials_are_taken(family_scene: Scene, credentials: Credentials, family: str, kind: str) -> None:
    operation = next(operation for operation in FAMILIES[family] if not operation.writes)
    refused(family_scene.call(operation, client=family_scene.client.having(BAD[kind](credentials))), 401, reason="UNAUTHENTICATED")


@pytest.mark.parametrize("operation", READS, ids=str)
def test_a_trailing_slash_never_matters(family_scene: Scene, operation: Operation) -> None:
    plain, slashed = (replace(operation, path=operation.path.rstrip("/") + end) for end in ("", "/"))
    found = family_scene.call(plain)
    assert found.status == 200
    assert essence(family_scene.call(slashed)) == essence(found)


@pytest.mark.parametrize("operation", ADDITIONS, ids=str)
def test_a_write_may_be_repeated_by_its_key(family_scene: Scene, operation: Operation) -> None:
    turned = replace(operation, path=operation.path.rstrip("/") + ("" if operation.path.endswith("/") else "/"))
    assert family_scene.call(turned).status == 201
    body, key = operation.body(family_scene.ids) if operation.body else {}, unique(operation.name)
    assert isinstance(body, dict)

    def send(body: object) -> Answer:
        return family_scene.client.post(operation.url(family_scene.ids), body, idempotency_key=key)

    first, again = send({**body, "nobody_knows": {"this": [1]}}), send({"nobody_knows": {"this": [1]}, **body})
    assert first.status == again.status == 201, first
    assert first.json == again.json
    if TOLD & set(body):
        refused(send({**body, **dict.fromkeys(TOLD & set(body), unique("another"))}), 409, reason="IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("operation", [operation for operation in FAMILY_OPERATIONS if operation.body], ids=str)
@pytest.mark.parametrize("body", [b"{", b"[1", b'"x"', b'{"a": NaN}', b'{"name": "a\\u0000b", "title": "a\\u0000b"'])
def test_what_is_no_json_is_refused(family_scene: Scene, operation: Operation, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = family_scene.client.send(operation.method, operation.url(family_scene.ids), body, headers)
    refused(answer, 400)
