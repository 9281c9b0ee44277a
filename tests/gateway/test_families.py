"""What the API families need beside family D: arrays, any JSON, both spellings, empty bodies, bulk."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format

from tests.gateway.envoy import JSON, Gateway, loopback, running, settings
from tests.gateway.things import Things, compiled, serving

MAKE = "/simulate/boxes/b1/things"
ANYTHING = "/simulate/anything"
USES = "/simulate/things/by-name/n/uses"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Things:
    return Things(compiled(tmp_path_factory.mktemp("things")))


@pytest.fixture(scope="module")
def envoy(things: Things, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(things) as port:
        chosen = settings(port, descriptor=things.descriptor, backends={"scoring": loopback(port)}, timeout_seconds=5)
        with running(chosen, tmp_path_factory.mktemp("families")) as it:
            yield it


@pytest.fixture(autouse=True)
def _forget(things: Things) -> None:
    things.said = None
    things.requests.clear()


def _asked(things: Things) -> Any:
    return json_format.MessageToDict(things.requests[-1], preserving_proto_field_name=True)


@pytest.mark.parametrize("value", [{"a": [1, None, {"b": True}]}, [], [{}, [], None], {}, "text", 5, 1.5, True, None])
def test_a_whole_body_may_be_any_json(envoy: Gateway, value: Any) -> None:
    answer = envoy.send("POST", ANYTHING, json.dumps(value))
    assert (answer.status, answer.json) == (200, value)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("[1,", "the body is not valid JSON: it ends too early"),
        ("[NaN]", "the body is not valid JSON at byte 2"),
        ('["\\ud800"]', "[0]: must not contain a lone surrogate"),
        ("[" * 33 + "]" * 33, "is nested deeper than 32"),
    ],
)
def test_any_json_is_still_json(envoy: Gateway, things: Things, body: str, fault: str) -> None:
    status, _, message = envoy.send("POST", ANYTHING, body).refusal
    assert (status, message.endswith(fault)) == (400, True), message
    assert things.requests == []


@pytest.mark.parametrize("deep", [{"object": 1}, {"array": 1}])
def test_any_json_may_be_32_deep(envoy: Gateway, deep: dict[str, int]) -> None:
    opening, closing = ('{"a":', "}") if "object" in deep else ("[", "]")
    body = opening * 32 + "1" + closing * 32
    answer = envoy.send("POST", ANYTHING, body)
    assert (answer.status, answer.json) == (200, json.loads(body))


@pytest.mark.parametrize("key", ["displayName", "display_name"])
def test_a_body_may_be_in_camel_case_or_snake_case(envoy: Gateway, things: Things, key: str) -> None:
    assert envoy.send("POST", MAKE, json.dumps({key: "x"})).status == 201
    assert _asked(things) == {"box_id": "b1", "display_name": "x"}
    assert envoy.send("POST", MAKE, json.dumps({key: 5})).refusal == (400, 3, f"{key}: must be a string")


@pytest.mark.parametrize(
    "field", ["displayName", "any", "object", "list", "size", "parts", "times", "scores", "wrapped", "tools", "unknown"]
)
def test_null_says_the_same_as_nothing(envoy: Gateway, things: Things, field: str) -> None:
    assert envoy.send("POST", MAKE, json.dumps({field: None})).status == 201
    asked = _asked(things)
    assert {key: value for key, value in asked.items() if value is not None} == {"box_id": "b1"}


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ({"any": {"a": [None]}}, {"any": {"a": [None]}}),
        ({"any": False}, {"any": False}),
        ({"object": {"a": {"b": []}}}, {"object": {"a": {"b": []}}}),
        ({"list": [1, [2], None]}, {"list": [1, [2], None]}),
        ({"list": []}, {"list": []}),
        ({"size": "large"}, {"size": "large"}),
        ({"parts": [{"name": "p", "size": "small"}]}, {"parts": [{"name": "p", "size": "small"}]}),
        ({"scores": {"a": 0.5}}, {"scores": {"a": 0.5}}),
        ({"wrapped": ""}, {"wrapped": ""}),
        ({"tools": [{"a": None}]}, {"tools": [{"a": None}]}),
        ({"box_id": "other", "boxId": "other"}, {}),
    ],
)
def test_every_kind_of_field_arrives(envoy: Gateway, things: Things, given: dict[str, Any], arrives: dict[str, Any]) -> None:
    assert envoy.send("POST", MAKE, json.dumps(given)).status == 201
    assert _asked(things) == {"box_id": "b1"} | arrives


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"object": []}, "object: must be an object"),
        ({"list": {}}, "list: must be an array"),
        ({"size": "huge"}, "size: must be one of small, large"),
        ({"parts": [{"size": 1}]}, "parts[0].size: must be one of small, large"),
        ({"parts": {"name": "p"}}, "parts: must be an array"),
        ({"times": 1.5}, "times: must be a whole number"),
        ({"scores": {"a": "b"}}, "scores.a: must be a number"),
        ({"scores": []}, "scores: must be an object"),
        ({"wrapped": 1}, "wrapped: must be a string"),
        ({"tools": ["a"]}, "tools[0]: must be an object"),
        ({"tools": [None]}, "tools[0]: must be an object"),
    ],
)
def test_every_kind_of_field_is_checked(envoy: Gateway, things: Things, given: dict[str, Any], fault: str) -> None:
    assert envoy.send("POST", MAKE, json.dumps(given)).refusal == (400, 3, fault)
    assert things.requests == []


@pytest.mark.parametrize("headers", [{}, JSON, {"content-length": "0"}])
def test_a_body_may_be_left_out(envoy: Gateway, things: Things, headers: dict[str, str]) -> None:
    assert envoy.send("POST", USES, None, headers).status == 201
    assert envoy.send("POST", USES, "", headers).status == 201
    assert envoy.send("POST", MAKE, None, headers).status == 201
    assert [json_format.MessageToDict(request) for request in things.requests] == [
        {"name": "n", "options": {}},
        {"name": "n", "options": {}},
        {"boxId": "b1"},
    ]


@pytest.mark.parametrize("body", ["{}", '{"version_id": null}', '{"versionId": "v"}', '{"version_id": "v", "x": [1]}', "null"])
def test_an_optional_body_is_read(envoy: Gateway, things: Things, body: str) -> None:
    if body == "null":
        assert envoy.send("POST", USES, body).refusal == (400, 3, "the body must be an object")
        return
    assert envoy.send("POST", USES, body).status == 201
    assert _asked(things)["options"] == ({"version_id": "v"} if "version_id" in body and "null" not in body else {})


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_stream_of_messages_is_a_bare_array(envoy: Gateway, things: Things, count: int) -> None:
    things.said = [{"thingId": str(number), "title": None} for number in range(count)]
    answer = envoy.send("POST", USES)
    assert (answer.status, answer.headers["content-type"]) == (201, "application/json")
    assert [(thing["thingId"], thing["title"], thing["parts"]) for thing in answer.json] == [(str(n), None, []) for n in range(count)]


def test_null_is_printed_and_absent_is_not(envoy: Gateway, things: Things) -> None:
    things.said = {"title": None, "notes": ["a", None], "first": {"name": "p"}}
    assert envoy.send("POST", MAKE, "{}").json == {
        "thingId": "",
        "title": None,
        "notes": ["a", None],
        "parts": [],
        "first": {"name": "p"},
        "sizeInBytes": "0",
    }


@pytest.mark.parametrize(
    ("query", "arrives"),
    [
        ("page[number]=3&page[size]=10", {"page_number": 3, "page_size": 10}),
        ("page%5Bnumber%5D=3&page%5Bsize%5D=10", {"page_number": 3, "page_size": 10}),
        ("thingIds=a&thingIds=b", {"thing_ids": ["a", "b"]}),
        ("thing_ids=a&thingIds=b", {"thing_ids": ["a", "b"]}),
        ("includeUses=true", {"include_uses": True}),
        ("includeUses=false", {"include_uses": False}),
        ("size=small", {"size": "small"}),
        ("page=3&limit=1", {}),
    ],
)
def test_a_query_is_read(envoy: Gateway, things: Things, query: str, arrives: dict[str, Any]) -> None:
    assert envoy.send("GET", f"/simulate/things/?{query}").status == 200
    assert _asked(things) == arrives


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("page[number]=x", 'page_number: invalid value "x"'),
        ("page[number]=1&page[number]=2", "page[number]: is given more than once"),
        ("page_number=1&page%5Bnumber%5D=2", "page_number: is given more than once"),
        ("includeUses=maybe", 'include_uses: invalid value "maybe"'),
        ("size=huge", 'size: invalid value "huge"'),
    ],
)
def test_a_wrong_query_names_what_is_wrong(envoy: Gateway, things: Things, query: str, fault: str) -> None:
    assert envoy.send("GET", f"/simulate/things?{query}").refusal == (400, 3, fault)
    assert things.requests == []


@pytest.mark.parametrize(
    ("segment", "name"),
    [
        ("a%26b", "a&b"),
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("%C3%BC", "ü"),
        ("a+b", "a+b"),
        ("a%3Fb%23", "a?b#"),
        ("bulk", "bulk"),
        ("100%25", "100%"),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_name_in_a_path_is_any_text(envoy: Gateway, things: Things, segment: str, name: str, slash: str) -> None:
    assert envoy.send("POST", f"/simulate/things/by-name/{segment}/uses{slash}").status == 201
    assert _asked(things)["name"] == name


def test_a_patch_is_routed(envoy: Gateway, things: Things) -> None:
    assert envoy.send("PATCH", f"{MAKE}/t1/", '{"times": 3}').status == 200
    assert _asked(things) == {"box_id": "b1", "thing_id": "t1", "times": 3}


def test_10_000_cases_go_in_and_out_at_once(envoy: Gateway, things: Things) -> None:
    cases = [{"displayName": "x", "any": {"text": "é" * 700, "number": number}} for number in range(10_000)]
    body = json.dumps({"data": cases}, ensure_ascii=False).encode()
    assert 13 * MEGABYTE < len(body) < 16 * MEGABYTE
    answer = envoy.send("POST", f"{MAKE}/bulk", body)
    assert answer.status == 201
    assert answer.json["data"][9_999]["any"]["number"] == 9_999
    assert len(things.requests[0].data) == 10_000  # type: ignore[attr-defined]


@pytest.mark.parametrize(("path", "limit"), [(f"{MAKE}/bulk", 16), (MAKE, 10), (ANYTHING, 10)])
@pytest.mark.parametrize("chunked", [False, True])
def test_more_than_a_route_carries_is_413(envoy: Gateway, things: Things, path: str, limit: int, *, chunked: bool) -> None:
    for size in (limit + 1, 30):
        body = b" " * (size * MEGABYTE)
        answer = envoy.send("POST", path, iter([body]) if chunked else body, JSON)
        assert answer.refusal == (413, 3, f"the body is larger than {limit} MB")
    assert things.requests == []


def test_a_large_body_of_escapes_is_checked_in_time(envoy: Gateway) -> None:
    body = json.dumps({"data": [{"displayName": '"' * 7_000_000}]})
    assert envoy.send("POST", f"{MAKE}/bulk", body).status == 201
