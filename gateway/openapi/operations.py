"""RPCs as OpenAPI operations: parameters, bodies, answers, and every status that can come."""

import re
from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Any

from gateway.openapi import comments
from gateway.openapi.families import family_of
from gateway.openapi.schemas import Field, Schema, Schemas, is_file
from gateway.routed import FILE, Method, Route, Service

Operation = dict[str, Any]

ALWAYS = (400, 401, 429, 500, 503, 504)
BODIES = ("POST", "PUT", "PATCH")
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key answers the same for 24 hours; with another body: 409.",
    "schema": {"type": "string", "maxLength": 255},
}
LAST_EVENT_ID: Schema = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "Goes on after this event.",
    "schema": {"type": "string", "pattern": "^[0-9]+$"},
}
DISPOSITION = {"Content-Disposition": {"description": "The name of the file.", "schema": {"type": "string"}}}


def operation(schemas: Schemas, service: Service, method: Method, route: Route) -> Operation:
    """The operation of one route."""
    comment = schemas.comments[method.path.removeprefix("/").replace("/", ".")]
    described: Operation = {
        "tags": [family_of(route.path).name],
        "operationId": _operation_id(service, method, route),
        "summary": comments.summary(comment),
        "description": comment,
        "parameters": list(_parameters(schemas, method, route, comment)),
    }
    if body := _body(schemas, method, route):
        described["requestBody"] = body
    errors = {str(status): {"$ref": f"#/components/responses/{status}"} for status in _errors(schemas, service, method, route)}
    return described | {"responses": _answers(schemas, method, comment) | errors}


def _operation_id(service: Service, method: Method, route: Route) -> str:
    first = f"{service.name.rsplit('.', 1)[1]}_{method.path.rsplit('/', 1)[1]}"
    at = method.routes.index(route)
    return first if not at else f"{first}_{at + 1}"


def _bound(route: Route) -> list[str]:
    return re.findall(r"{(\w+)}", route.path)


def _parameters(schemas: Schemas, method: Method, route: Route, comment: str) -> Iterator[Schema]:
    bound = _bound(route)
    for field, told in schemas.fields(method.request):
        if field.name in bound:
            yield {"name": field.name, "in": "path", "required": True, "schema": {"type": "string"}, "description": told}
    if route.body != "*":
        yield from _query(schemas, method, [*bound, route.body])
    if _is_idempotent(route, comment):
        yield IDEMPOTENCY_KEY
    if "Last-Event-ID" in comment:
        yield LAST_EVENT_ID


def _query(schemas: Schemas, method: Method, elsewhere: Collection[str]) -> Iterator[Schema]:
    for field, told in schemas.fields(method.request):
        if field.name in elsewhere or field.type == Field.TYPE_MESSAGE:
            continue
        schema = schemas.field(field, told, asked=True)
        schema.pop("description", None)
        yield {"name": field.json_name, "in": "query", "required": comments.is_required(told), "schema": schema, "description": told}


def _is_idempotent(route: Route, comment: str) -> bool:
    return route.verb == "POST" and (comments.success(comment) == HTTPStatus.CREATED or "Idempotency-Key" in comment)


def _body(schemas: Schemas, method: Method, route: Route) -> Schema | None:
    if not route.body:
        return None
    if route.body == "*":
        bound = _bound(route)
        needed = any(comments.is_required(told) for field, told in schemas.fields(method.request) if field.name not in bound)
        return _json(schemas.body(method.request, bound)) | {"required": needed}
    field, told = next((field, told) for field, told in schemas.fields(method.request) if field.name == route.body)
    if is_file(field):
        form = {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
        return {"required": True, "description": told, "content": {"multipart/form-data": {"schema": form}}}
    schema = schemas.field(field, told, asked=True)
    return _json(schema) | {"required": comments.is_required(told)} | ({"description": told} if told else {})


def _json(schema: Schema) -> Schema:
    return {"content": {"application/json": {"schema": schema}}}


def _answers(schemas: Schemas, method: Method, comment: str) -> dict[str, Schema]:
    status = comments.success(comment)
    empty = {"description": "Done; there is nothing to tell."}
    if status == HTTPStatus.NO_CONTENT:
        return {"204": empty}
    if method.answer == FILE:
        answers = {str(status): _file(comment)}
        return answers | ({"204": {"description": "There is nothing more to come."}} if " 204 " in comment else {})
    schema = schemas.answer(method.answer)
    if method.streams:
        schema = {"type": "array", "items": schema}
    return {str(status): {"description": comments.summary(comment)} | _json(schema)}


def _file(comment: str) -> Schema:
    if "text/event-stream" in comment:
        return {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    kind = "text/csv" if "CSV" in comment else "*/*"
    return {"description": "The file, as an attachment.", "headers": DISPOSITION, "content": {kind: {"schema": {"type": "string"}}}}


def _errors(schemas: Schemas, service: Service, method: Method, route: Route) -> list[int]:
    """Every error status that a route can answer: told by its comment, or by what it takes."""
    comment = schemas.comments[method.path.removeprefix("/").replace("/", ".")]
    names = [field.name for field, _ in schemas.fields(method.request)]
    possible = {
        403: service.scope != "" or route.verb != "GET",  # a write by cookie from a foreign page
        404: "NOT_FOUND" in comment or any(name.endswith(("_id", "_ids")) for name in names) or bool(_bound(route)),
        409: re.search(r"ABORTED|ALREADY_EXISTS|\b409\b", comment) is not None or _is_idempotent(route, comment),
        413: route.verb in BODIES and route.body != "",
    }
    return sorted({*ALWAYS, *(status for status, can in possible.items() if can)})
