"""Every mistake one can make with curl: the documented status and body, never a 5xx, never a stack trace."""

import json
from collections.abc import Mapping

import pytest

from tests.suite.builders import CONTEXTS, SETS, Builders, made
from tests.suite.client import Answer, Client
from tests.suite.contract import is_uncouth, refused
from tests.suite.scenes import CREATES, OPERATIONS, READS, Operation, Scene

DEEP = 33
WITH_BODY = [operation for operation in OPERATIONS if operation.body]
MEGABYTE = 1 << 20

# Bodies that are no JSON object at all → whether they are refused wherever a body is read.
NOT_JSON: Mapping[str, bytes] = {
    "half an object": b'{"name": "x"',
    "a bare word": b"name",
    "single quotes": b"{'name': 'x'}",
    "a trailing comma": b'{"name": "x",}',
    "two objects": b'{"name": "x"}{"name": "y"}',
    "a comment": b'{"name": "x"} // y',
    "an array": b'[{"name": "x"}]',
    "a text": b'"name"',
    "a number": b"17",
    "null": b"null",
    "true": b"true",
    "NaN": b'{"passing_score": NaN, "timeout_ms": NaN, "repeats": NaN, "x": NaN}',
    "Infinity": b'{"passing_score": -Infinity, "x": Infinity}',
    "no UTF-8": b'{"name": "caf\xe9"}',
    "a control character": b'{"name": "a\nb"}',
    "a lone surrogate": b'{"name": "\\ud800", "question": "\\ud800", "tags": ["\\ud800"]}',
    "a lone low surrogate": b'{"name": "\\udc00x", "question": "\\udc00x", "tags": ["\\udc00"]}',
    "an unknown escape": b'{"name": "\\x41"}',
    "a number with a leading zero": b'{"order": 01, "timeout_ms": 01, "repeats": 01}',
    "XML": b"<name>x</name>",
    "a form": b"name=x&kind=builtin",
    "deep arrays": b'{"unknown": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"unknown": ' + b'{"a": ' * DEEP + b"1" + b"}" * DEEP + b"}",
    "very deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "very deep objects": b'{"a":' * 50_000,
    "a U+0000": b'{"name": "a\\u0000b", "question": "a\\u0000b", "tags": ["a\\u0000b"]}',
}


@pytest.mark.parametrize("what", NOT_JSON)
@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
def test_a_body_that_is_no_good_json_is_refused(scene: Scene, operation: Operation, what: str) -> None:
    send = scene.client.post if operation.method == "POST" else scene.client.put
    assert operation.body
    valid = operation.body(scene.ids)
    answer = send(operation.url(scene.ids), NOT_JSON[what])
    refused(answer, 400)
    assert "google.protobuf" not in answer.text
    assert isinstance(valid, dict)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
@pytest.mark.parametrize("operation", CREATES, ids=str)
def test_another_content_type_does_not_confuse(scene: Scene, operation: Operation, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = scene.client.send(operation.method, operation.url(scene.ids), b"name=x", headers)
    assert 400 <= answer.status < 500
    assert not is_uncouth(answer)


WRONG_TYPES: Mapping[str, Mapping[str, list[object]]] = {
    "create connection": {
        "name": [1, True, [], {}],
        "kind": [0, 4, "", "BUILTIN", ["builtin"], {}],
        "model": [1, []],
        "max_concurrency": ["x", 1.5, True, [1], {}, 2**40, -1],
        "timeout_ms": ["", "1e", False, 10**30],
        "api_key": [5, {}],
    },
    "create context": {"name": [1], "connection_id": [1, {}, []], "statement": [False, 2], "parameters": ["x", 1, [], True]},
    "create test set": {"name": [0, []], "mode": ["Scenario", 1, {}], "language": [1, []], "description": [1], "context_id": [7, [], {}]},
    "create case": {
        "question": [1, {}, [], False],
        "expected_response": [1.5],
        "test_method": ["EXACT_MATCH", 3, []],
        "passing_score": ["x", "NaN", "Infinity", [], {}, True, 1e308, 2],
        "keywords": ["a", {"a": 1}, [1], [[]], [None]],
        "order": ["x", 0.5, [], 2**31, -(2**31) - 1, 1e99],
        "file_url": [1, []],
        "file_mime_type": [1],
    },
    "start run": {"test_set_id": [1, {}], "repeats": ["x", 0.5, -1, 1e9], "max_concurrency": [[], "x"], "tags": ["x", {}, [1], [None]]},
}  # fmt: skip
FIELDS = [(operation, name) for operation in CREATES for name in WRONG_TYPES[operation.name]]


@pytest.mark.parametrize(("operation", "name"), FIELDS, ids=[f"{operation}, {name}" for operation, name in FIELDS])
def test_a_value_of_a_wrong_type_is_named(scene: Scene, operation: Operation, name: str) -> None:
    assert operation.body
    valid = operation.body(scene.ids)
    assert isinstance(valid, dict)
    for value in WRONG_TYPES[operation.name][name]:
        answer = scene.client.post(operation.url(scene.ids), {**valid, name: value})
        refused(answer, 400, name)


@pytest.mark.parametrize("operation", CREATES, ids=str)
def test_a_missing_field_is_named(scene: Scene, operation: Operation) -> None:
    assert operation.body
    valid = operation.body(scene.ids)
    assert isinstance(valid, dict)
    for name in valid:
        if name == "model":
            continue
        refused(
            scene.client.post(operation.url(scene.ids), {k: v for k, v in valid.items() if k != name}), 400, name, reason="INVALID_FIELD"
        )
        refused(scene.client.post(operation.url(scene.ids), {**valid, name: None}), 400, name, reason="INVALID_FIELD")
    refused(scene.client.post(operation.url(scene.ids), b""), 400)


def test_parameters_may_be_as_deep_as_json_may_be(client: Client, build: Builders) -> None:
    def nested(depth: int) -> object:
        return {} if depth == 0 else {"a": nested(depth - 1)}

    context = build.context(parameters=nested(28))
    assert context["parameters"] == nested(28)
    for depth in (33, 60, 500):
        refused(client.post(CONTEXTS, {"name": "x", "connection_id": context["connection_id"], "parameters": nested(depth)}), 400)


@pytest.mark.parametrize("value", [b"\\u0000", b"\\ud800", b"\\udfff"])
def test_what_no_database_takes_is_refused_wherever_it_stands(client: Client, build: Builders, value: bytes) -> None:
    connection_id = build.connection()["id"].encode()
    for body in (
        b'{"name": "x", "connection_id": "%s", "parameters": {"a": [{"b": "%s"}]}}' % (connection_id, value),
        b'{"name": "x", "connection_id": "%s", "parameters": {"%s": 1}}' % (connection_id, value),
        b'{"name": "x", "connection_id": "%s", "statement": "%s"}' % (connection_id, value),
    ):
        refused(client.post(CONTEXTS, body), 400)


@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS if operation.writes], ids=str)
def test_a_body_of_twenty_megabytes_is_too_large(scene: Scene, operation: Operation) -> None:
    unknown = dict.fromkeys(operation.parameters, "01890000-0000-7000-8000-000000000000") if operation.method == "DELETE" else {}
    body = b'{"name": "' + b"x" * (20 * MEGABYTE) + b'"}'
    answer = scene.client.send(operation.method, operation.url({**scene.ids, **unknown}), body, {"content-type": "application/json"})
    refused(answer, 413)


def test_a_text_of_a_megabyte_is_no_mistake(client: Client, build: Builders) -> None:
    text = "ü" * MEGABYTE
    context = build.context(statement=text)
    assert made(client.get(f"{CONTEXTS}/{context['id']}"), 200)["statement"] == text


@pytest.mark.parametrize(
    "query",
    [
        *("context_id=%FF", "search=%FF&context_id={c}", "search=%00&context_id={c}", "search=%ED%A0%80&context_id={c}"),
        *("page=1&page=2&context_id={c}", "page=&context_id={c}", "page=1e3&context_id={c}", "page=0x10&context_id={c}"),
        *(
            "page=99999999999999999999&context_id={c}",
            "page_size=-2147483649&context_id={c}",
            "page=+1&context_id={c}",
            "page=NaN&context_id={c}",
        ),
        *("sort_by=%27&context_id={c}", "sort_by[]=name&context_id={c}&sort_by=x", "sort_order=ASC&context_id={c}"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(scene: Scene, query: str) -> None:
    refused(scene.client.send("GET", f"{SETS}?{query.format(c=scene.ids['context_id'])}"), 400)


@pytest.mark.parametrize(
    "query",
    ["", "?", "&&&", "=", "?a=b&context_id={c}", "context_id={c}&%zz=1", "context_id={c}&x=%zz", "context_id={c}#frag", "a" * 20_000],
)
def test_no_query_is_answered_uncouthly(scene: Scene, query: str) -> None:
    assert not is_uncouth(scene.client.send("GET", f"{SETS}?{query.format(c=scene.ids['context_id'])}"))


PATHS = (
    *(
        "/",
        "//",
        "/v1",
        "/v1/",
        "/v1/evaluation",
        "/v1/evaluation/",
        "/v1/evaluation/nothing",
        "/v2/evaluation/test-sets",
        "/V1/evaluation/test-sets",
    ),
    *(
        "/v1/evaluation/test-sets/a/b/c",
        "/v1/evaluation/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/evaluation/test-sets%00",
        "/%FF",
        "/" + "a" * 8000,
    ),
    *(
        "/assay.catalog.v1.TestSetService/ListTestSets",
        "/assay.catalog.internal.v1.CatalogService/Authenticate",
        "/grpc.health.v1.Health/Check",
    ),
    *("/metrics", "/stats", "/server_info", "/quitquitquit", "/healthz", "/favicon.ico"),
)


@pytest.mark.parametrize("path", PATHS)
def test_no_other_path_leads_anywhere(client: Client, path: str) -> None:
    for method in ("GET", "POST"):
        answer = client.send(method, path, b"{}" if method == "POST" else None, {"content-type": "application/json"})
        assert not is_uncouth(answer), answer
        assert answer.status in (400, 404, 414, 431), answer


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_wrong_method_is_not_found(scene: Scene, operation: Operation) -> None:
    known = {each.method for each in OPERATIONS if each.path == operation.path}
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "TRACE"} - known:
        answer = scene.client.send(method, operation.url(scene.ids), b"{}" if method in ("POST", "PUT", "PATCH") else None)
        refused(answer, 404)


ODD_HEADERS: Mapping[str, Mapping[str, str]] = {
    "an Accept that can't be met": {"accept": "application/xml"},
    "an unknown encoding": {"accept-encoding": "nonsense"},
    "a conditional request": {"if-none-match": "*", "if-modified-since": "Sat, 01 Jan 2035 00:00:00 GMT"},
    "a range": {"range": "bytes=0-3"},
    "a method override": {"x-http-method-override": "DELETE"},
    "an overlong key": {"idempotency-key": "k" * 5000},
    "a key of spaces": {"idempotency-key": "   "},
    "a host of another": {"host": "evil.example.com"},
    "forwarding headers": {"x-forwarded-for": "1.2.3.4, ' OR 1=1", "x-forwarded-proto": "gopher", "forwarded": "for=;;"},
    "a timeout of its own": {"grpc-timeout": "1n", "x-envoy-upstream-rq-timeout-ms": "1"},
    "gRPC's own headers": {"grpc-encoding": "gzip", "te": "trailers", "grpc-status": "13"},
    "binary metadata": {"x-thing-bin": "not base64!"},
    "an expectation": {"expect": "100-continue"},
}


@pytest.mark.parametrize("what", ODD_HEADERS)
@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS if operation.method != "DELETE"], ids=str)
def test_no_odd_header_is_answered_uncouthly(scene: Scene, operation: Operation, what: str) -> None:
    answer = scene.call(operation, client=scene.client.adding(ODD_HEADERS[what]))
    assert not is_uncouth(answer), answer
    assert answer.status in (operation.status, 400), answer


@pytest.mark.parametrize("operation", READS, ids=str)
def test_a_body_where_none_is_read_changes_nothing(scene: Scene, operation: Operation) -> None:
    bodies = (b"{", b'{"page": 0, "run_id": "x"}', b"\xff" * 100, json.dumps({"page": 0, "context_id": "x"}).encode())
    answers: list[Answer] = [
        scene.client.send("GET", operation.url(scene.ids), body, {"content-type": "application/json"}) for body in bodies
    ]
    assert {answer.status for answer in answers} == {200}
