"""Idempotency-Key: on every create and start, the first answer again."""

import asyncio
import json
import secrets
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from deploy.local.stack import Stack
from tests.suite.builders import CONNECTIONS, CONTEXTS, RUNS, SETS, Builders, Json, csv_of, made, unique
from tests.suite.client import Client, File
from tests.suite.conftest import Credentials
from tests.suite.contract import refused
from tests.suite.scenes import BY_NAME, CREATES, UPLOADS, Operation, Scene, a_scene

KEYED = (*CREATES, *UPLOADS)


@pytest.fixture
def key() -> str:
    return secrets.token_hex(16)


@pytest.fixture(scope="module")
def workshop(client: Client) -> Scene:
    """A scene that grows."""
    return a_scene(client)


def count_of(client: Client, test_set: Json) -> int:
    return int(made(client.get(f"{SETS}/{test_set['id']}"), 200)["test_case_count"])


@pytest.mark.parametrize("operation", KEYED, ids=str)
def test_the_same_request_gets_the_first_answer_again(workshop: Scene, key: str, operation: Operation) -> None:
    client = workshop.client.adding({"idempotency-key": key})
    body = operation.body(workshop.ids) if operation.body else None
    again = Operation(operation.name, operation.method, operation.path, operation.status, lambda _: body, operation.file)
    first = workshop.call(again, client=client)
    assert first.status == operation.status, first
    for _ in range(2):
        repeated = workshop.call(again, client=client)
        assert (repeated.status, repeated.json) == (first.status, first.json)


@pytest.mark.parametrize("operation", KEYED, ids=str)
def test_without_a_key_each_request_is_one_of_its_own(workshop: Scene, operation: Operation) -> None:
    first, second = workshop.call(operation), workshop.call(operation)
    assert (first.status, second.status) == (operation.status, operation.status)
    if operation.status == 201:
        assert first.json["id"] != second.json["id"]


@pytest.mark.parametrize("operation", CREATES, ids=str)
def test_another_body_is_a_conflict(workshop: Scene, key: str, operation: Operation) -> None:
    client = workshop.client.adding({"idempotency-key": key})
    assert workshop.call(operation, client=client).status == 201
    assert operation.body
    body = operation.body(workshop.ids)
    assert isinstance(body, dict)
    changed = {**body, "tags": ["x"], "name": unique("other"), "question": "another"}
    refused(client.post(operation.url(workshop.ids), changed), 409, reason="IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("operation", UPLOADS, ids=str)
def test_another_file_is_a_conflict_and_the_same_file_is_known_by_its_content(workshop: Scene, key: str, operation: Operation) -> None:
    client, path = workshop.client.adding({"idempotency-key": key}), operation.url(workshop.ids)
    first = client.upload(path, File(csv_of("q,e,exact_match")))
    assert first.status == 200, first
    same = client.upload(path, File(csv_of("q,e,exact_match")))
    assert same.json == first.json
    refused(client.upload(path, File(csv_of("q,another,exact_match"))), 409, reason="IDEMPOTENCY_KEY_REUSED")


def test_an_upload_that_is_repeated_creates_its_cases_once(client: Client, build: Builders, key: str) -> None:
    test_set = build.test_set()
    for _ in range(3):
        made(client.upload(f"{SETS}/{test_set['id']}/upload-csv", File(csv_of("q,e,exact_match")), idempotency_key=key), 200)
    assert count_of(client, test_set) == 1


def test_a_create_that_is_repeated_counts_once(client: Client, build: Builders, key: str) -> None:
    test_set = build.test_set()
    path, body = f"{SETS}/{test_set['id']}/cases", {"question": "q", "expected_response": "e"}
    for _ in range(3):
        made(client.post(path, body, idempotency_key=key))
    assert count_of(client, test_set) == 1


def test_bodies_are_compared_parsed(client: Client, workshop: Scene, key: str) -> None:
    body = {"name": "n", "context_id": workshop.ids["context_id"], "description": "ü"}
    first = made(client.post(SETS, body, idempotency_key=key))
    spaced = json.dumps(dict(reversed(body.items())), indent=3, ensure_ascii=False).encode()
    assert made(client.post(SETS, spaced, idempotency_key=key)) == first
    assert made(client.post(SETS, {**body, "unknown": 1}, idempotency_key=key)) == first
    assert made(client.post(SETS, {**body, "mode": None}, idempotency_key=key)) == first


@pytest.mark.parametrize("operation", CREATES, ids=str)
def test_a_failure_frees_the_key(workshop: Scene, key: str, operation: Operation) -> None:
    client = workshop.client.adding({"idempotency-key": key})
    refused(client.post(operation.url(workshop.ids), {}), 400)
    refused(client.post(operation.url(workshop.ids), b"{"), 400)
    assert workshop.call(operation, client=client).status == 201


def test_a_refused_run_frees_its_key(client: Client, build: Builders, key: str) -> None:
    test_set = build.test_set()
    body = {"test_set_id": test_set["id"], "context_id": test_set["context_id"]}
    refused(client.post(RUNS, body, idempotency_key=key), 400)
    build.case(test_set)
    made(client.post(RUNS, body, idempotency_key=key))


def test_keys_are_of_one_workspace_and_one_operation(client: Client, other: Client, build: Builders, key: str) -> None:
    connection, theirs = build.connection(), Builders(other).connection()
    ours = made(client.post(CONTEXTS, {"name": "n", "connection_id": connection["id"]}, idempotency_key=key))
    made(other.post(CONTEXTS, {"name": "n", "connection_id": theirs["id"]}, idempotency_key=key))
    made(client.post(SETS, {"name": "n", "context_id": ours["id"]}, idempotency_key=key))
    assert made(client.post(CONTEXTS, {"name": "n", "connection_id": connection["id"]}, idempotency_key=key)) == ours


@pytest.mark.parametrize("operation", KEYED, ids=str)
def test_requests_at_the_same_time_have_one_effect(workshop: Scene, key: str, operation: Operation) -> None:
    client = workshop.client.adding({"idempotency-key": key})
    body = operation.body(workshop.ids) if operation.body else None
    again = Operation(operation.name, operation.method, operation.path, operation.status, lambda _: body, operation.file)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: workshop.call(again, client=client), range(8)))
    assert {answer.status for answer in answers} == {operation.status}
    assert all(answer.json == answers[0].json for answer in answers)


async def test_a_key_that_stays_in_flight_is_a_conflict_that_says_when_to_come_again(
    stack: Stack, client: Client, credentials: Credentials, key: str
) -> None:
    body = {"name": unique("connection"), "kind": "builtin", "model": "echo"}
    first = await asyncpg.connect(stack.env()["ASSAY_DATABASE_URL"])
    try:
        async with first.transaction():  # what a first request holds, one that doesn't end
            await first.execute(
                "INSERT INTO catalog.idempotency_keys (workspace_id, operation, key, digest) VALUES ($1, $2, $3, '')",
                credentials.workspace_id,
                "assay.catalog.v1.CreateConnectionRequest",
                key,
            )
            answer = await asyncio.to_thread(client.post, CONNECTIONS, body, idempotency_key=key)
            refused(answer, 409, reason="IDEMPOTENCY_KEY_IN_FLIGHT")
            assert int(answer.headers["retry-after"]) >= 1
            await first.execute("DELETE FROM catalog.idempotency_keys WHERE key = $1", key)
    finally:
        await first.close()
    made(client.post(CONNECTIONS, body, idempotency_key=key))


def test_a_run_that_is_started_again_is_the_same_run_even_when_it_has_ended(client: Client, build: Builders, key: str) -> None:
    test_set = build.a_set_of(("a", "a"))
    body = {"test_set_id": test_set["id"], "context_id": test_set["context_id"]}
    first = made(client.post(RUNS, body, idempotency_key=key))
    build.ended(first)
    assert made(client.post(RUNS, body, idempotency_key=key)) == first
    assert made(client.get(f"{SETS}/{test_set['id']}/history"), 200)["total"] == 1


def test_reads_and_changes_take_no_notice_of_a_key(workshop: Scene, key: str) -> None:
    client = workshop.client.adding({"idempotency-key": key})
    for name in ("get test set", "list cases", "update test set"):
        assert workshop.call(BY_NAME[name], client=client).status == 200
    assert workshop.call(BY_NAME["create case"], client=client).status == 201
