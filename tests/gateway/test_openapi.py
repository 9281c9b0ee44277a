"""The OpenAPI document: valid, whole, and telling what the router and the servicers do."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from deploy.local.binaries import ROOT
from gateway.openapi import comments
from gateway.openapi.document import document
from gateway.routed import Method, public_services, read_descriptor
from tests.gateway.envoy import DESCRIPTOR
from tests.gateway.things import compiled

THINGS = "/simulate/boxes/{box_id}/things"


@pytest.fixture(scope="module")
def served() -> Any:
    return document(read_descriptor(DESCRIPTOR))


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return document(read_descriptor(compiled(tmp_path_factory.mktemp("document"))))


def _operations(told: Any) -> Iterator[tuple[str, str, Any]]:
    for path, operations in told["paths"].items():
        for verb, operation in operations.items():
            yield verb.upper(), path, operation


def _methods() -> Iterator[tuple[str, Method]]:
    for service in public_services(read_descriptor(DESCRIPTOR)):
        for method in service.methods:
            yield service.name, method


def test_the_document_is_valid(served: Any, things: Any) -> None:
    for told in (served, things):
        OpenAPIV31SpecValidator(told).validate()


def test_it_holds_what_the_router_serves_and_nothing_else(served: Any) -> None:
    routed = sorted((route.verb, route.path) for _, method in _methods() for route in method.routes)
    assert sorted((verb, path) for verb, path, _ in _operations(served)) == routed


def test_operations_have_names_of_their_own_and_say_what_they_do(served: Any) -> None:
    names = [operation["operationId"] for _, _, operation in _operations(served)]
    assert len(set(names)) == len(names)
    assert [path for _, path, operation in _operations(served) if not operation["summary"]] == []


def test_every_parameter_of_a_path_is_told(served: Any) -> None:
    for verb, path, operation in _operations(served):
        told = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
        assert sorted(told) == sorted(re.findall(r"{(\w+)}", path)), (verb, path)


def _documented(served: Any) -> dict[str, set[int]]:
    return {
        operation["operationId"]: {int(status) for status in operation["responses"] if status < "300"}
        for _, _, operation in _operations(served)
    }


def _said(code: ast.AST) -> set[int]:
    calls = [node for node in ast.walk(code) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "answer_with"]
    return {
        argument.value for call in calls for argument in call.args if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    }


def _answered(method: ast.AsyncFunctionDef) -> set[int]:
    always = any(_said(statement) for statement in method.body if isinstance(statement, ast.Expr))
    return _said(method) | (set() if always else {200})


def _servicers() -> Iterator[tuple[str, set[int]]]:
    for file in sorted(Path(ROOT, "services").glob("*/servicers/*.py")):
        for node in (one for one in ast.walk(ast.parse(file.read_text())) if isinstance(one, ast.ClassDef)):
            bases = [base.attr.removesuffix("Servicer") for base in node.bases if isinstance(base, ast.Attribute)]
            for method in (one for one in node.body if isinstance(one, ast.AsyncFunctionDef) and bases):
                yield f"{bases[0]}_{method.name}", _answered(method)


def test_a_success_has_the_status_that_its_servicer_says(served: Any) -> None:
    documented, answered = _documented(served), dict(_servicers())
    assert len(set(documented) & set(answered)) > 30
    assert {name: statuses for name, statuses in documented.items() if answered.get(name, statuses) != statuses} == {}


def test_answers_are_told_key_for_key(things: Any) -> None:
    thing = things["components"]["schemas"]["Thing"]
    assert thing["required"] == ["thingId", "title", "notes", "parts", "first", "sizeInBytes"]
    kinds = {name: {key: value for key, value in schema.items() if key != "description"} for name, schema in thing["properties"].items()}
    assert kinds == {
        "thingId": {"type": "string", "format": "uuid"},
        "title": {"type": ["string", "null"]},
        "notes": {"type": ["array", "null"]},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing.Part"}},
        "times": {"type": "integer", "format": "int32"},
        "first": {"anyOf": [{"$ref": "#/components/schemas/Thing.Part"}, {"type": "null"}]},
        "sizeInBytes": {"type": "string"},
    }


def test_a_body_is_told_without_what_the_path_says(things: Any) -> None:
    operation = things["paths"][THINGS]["post"]
    assert operation["requestBody"] == {
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MakeThingRequest"}}},
        "required": True,
    }
    schema = things["components"]["schemas"]["MakeThingRequest"]
    assert (schema["required"], "box_id" in schema["properties"]) == (["displayName"], False)
    assert schema["properties"]["displayName"] == {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "description": "1\u2013255 characters; required.",
    }
    assert schema["properties"]["size"]["enum"] == ["small", "large", None]
    assert schema["properties"]["times"]["type"] == ["integer", "null"]
    assert schema["properties"]["parts"]["items"] == {"$ref": "#/components/schemas/Thing.PartInput"}


def test_a_body_that_may_be_left_out_is_not_required(things: Any) -> None:
    assert things["paths"]["/simulate/things/by-name/{name}/uses"]["post"]["requestBody"]["required"] is False
    assert things["paths"]["/simulate/anything"]["post"]["requestBody"]["required"] is True


def test_a_stream_is_told_as_an_array(things: Any) -> None:
    answer = things["paths"]["/simulate/things/by-name/{name}/uses"]["post"]["responses"]["201"]
    assert answer["content"]["application/json"]["schema"] == {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}


def test_a_query_is_told_as_it_is_spelled(things: Any) -> None:
    parameters = {parameter["name"]: parameter["schema"] for parameter in things["paths"]["/simulate/things"]["get"]["parameters"]}
    assert parameters == {
        "page[number]": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10_000_000, "default": 1},
        "page[size]": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 100, "default": 20},
        "thingIds": {"type": "array", "items": {"type": "string"}},
        "includeUses": {"type": "boolean"},
        "size": {"type": "string", "enum": ["small", "large"]},
    }


@pytest.mark.parametrize(
    ("verb", "path", "statuses"),
    [
        ("post", THINGS, "201 400 401 403 404 409 413 429 500 503 504"),
        ("patch", f"{THINGS}/{{thing_id}}", "200 400 401 403 404 409 413 429 500 503 504"),
        ("post", "/simulate/anything", "200 400 401 403 413 429 500 503 504"),
        ("get", "/simulate/things", "200 400 401 404 429 500 503 504"),
        ("delete", "/simulate/things/by-name/{name}", "204 400 401 403 404 429 500 503 504"),
    ],
)
def test_every_status_is_told(things: Any, verb: str, path: str, statuses: str) -> None:
    assert sorted(things["paths"][path][verb]["responses"]) == statuses.split()


def test_a_path_of_no_family_is_refused(tmp_path: Path) -> None:
    descriptor = read_descriptor(compiled(tmp_path))
    kept = descriptor.FromString(descriptor.SerializeToString().replace(b"/simulate/anything", b"/somewhere/anythin"))
    with pytest.raises(ValueError, match="belongs to no family"):
        document(kept)


@pytest.mark.parametrize(
    ("comment", "types"),
    [
        ("Text or null: why.", ["string", "null"]),
        ("An object, an array or null.", ["object", "array", "null"]),
        ("Array of {role, content}; [] for none.", ["array"]),
        ("Number or null", ["number", "null"]),
        ("A test case, or an array of them.", []),
        ("Any JSON.", []),
    ],
)
def test_a_comment_tells_what_a_value_may_be(comment: str, types: list[str]) -> None:
    assert comments.json_types(comment) == types


@pytest.mark.parametrize(
    ("comment", "needed"),
    [
        ("Not empty; required.", True),
        ("The set; required, unknown: NOT_FOUND.", True),
        ("Required.", True),
        ("Required by keyword_match.", False),
        ("What is sent; required by `script`.", False),
        ("Whether one is required at all.", False),
    ],
)
def test_a_comment_tells_what_is_required(comment: str, *, needed: bool) -> None:
    assert comments.is_required(comment) is needed


@pytest.mark.parametrize(
    ("comment", "kind", "limits"),
    [
        ("1\u2013255 characters; required.", "string", {"minLength": 1, "maxLength": 255}),
        ("At most 5000 characters.".lower(), "string", {"maxLength": 5000}),
        ("Not empty.", "string", {"minLength": 1}),
        ("name, created_at or size; absent: name.", "string", {"enum": ["name", "created_at", "size"]}),
        ("0\u20131; absent: 0.7.", "number", {"minimum": 0, "maximum": 1}),
        ("How often, 1\u20131,000; absent: 1.", "integer", {"minimum": 1, "maximum": 1000}),
        ("Its place.", "integer", {}),
        ("What is judged, 1\u2013100 entries; required.", "array", {"minItems": 1, "maxItems": 100}),
        ("Lines, 1\u2013200; required by `script`.", "array", {"maxItems": 200}),
        ("Labels: at most 50, each 1\u2013255 characters.", "array", {"maxItems": 50}),
        ("Names, each at most 255 characters.", "array", {}),
        ("Ids of scenarios, at least one.", "array", {"minItems": 1}),
    ],
)
def test_a_comment_tells_limits(comment: str, kind: str, limits: dict[str, Any]) -> None:
    assert comments.limits(comment, kind) == limits


@pytest.mark.parametrize(
    ("comment", "summary", "status"),
    [
        ("Makes a set (201). NOT_FOUND if there is none.", "Makes a set", 201),
        ("Lists sets, e.g. all of them. More.", "Lists sets, e.g. all of them", 200),
        ("Deletes a set (204).", "Deletes a set", 204),
    ],
)
def test_a_comment_tells_summary_and_status(comment: str, summary: str, status: int) -> None:
    assert (comments.summary(comment), comments.success(comment)) == (summary, status)
