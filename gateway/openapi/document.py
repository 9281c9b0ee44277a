"""The whole document: what all operations share, and all operations."""

from typing import Any

from google.protobuf import descriptor_pb2

from gateway.openapi.families import FAMILIES
from gateway.openapi.operations import operation
from gateway.openapi.schemas import Schema, Schemas
from gateway.routed import public_services

VERSION = "0.1.0"
DESCRIPTION = """\
Assay runs evaluations of prompts, assistants and agents.

**Credentials**: an API token or a JWT as Bearer, a JWT in the cookie `auth`, or `X-Api-Key` with `X-Secret-Key`; each of
them everywhere. A write by cookie from a page of a foreign origin is refused.

**Rules for all operations**: a trailing slash doesn't matter. Unknown keys and parameters are ignored; null in a body says
the same as an absent key. Ids are UUIDs; one that is unknown, malformed or of another workspace is answered with the same 404.
Times are RFC 3339 in UTC, rates and scores lie between 0 and 1. In answers every key that isn't marked optional is always there.

**Errors** have one shape: `code` (a gRPC code), `message` (one sentence) and `details`, of which a
`google.rpc.ErrorInfo` carries a stable `reason` and a `google.rpc.BadRequest` names each wrong field."""

ERRORS = {
    400: "Something in the request is wrong; the message names each field.",
    401: "Credentials are missing, or not valid.",
    403: "The credentials may not do this, or a page of a foreign origin wrote with a cookie.",
    404: "Something that the request names is unknown.",
    409: "It doesn't fit the present state; or the Idempotency-Key was used with another body, or is in flight.",
    413: "The body is too large.",
    429: "Too many requests with these credentials.",
    500: "A fault of the service.",
    503: "A part of the service can't be reached right now; it is safe to repeat a read.",
    504: "The service took too long to answer.",
}
RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
RETRIED = (409, 429, 503)
ERROR: Schema = {
    "type": "object",
    "description": "Why a request was refused.",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer", "description": "gRPC code: 3 invalid, 5 not found, 7 forbidden, 10 conflict, 16 unauthenticated, …"},
        "message": {"type": "string", "description": "One sentence."},
        "details": {
            "type": "array",
            "description": "A google.rpc.ErrorInfo with the stable reason; a google.rpc.BadRequest with each wrong field.",
            "items": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
        },
    },
}
SECURITY_SCHEMES: dict[str, Schema] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API token, or a JWT."},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "auth", "description": "A JWT."},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The first half of a key pair."},
    "secret_key": {"type": "apiKey", "in": "header", "name": "X-Secret-Key", "description": "The second half of it."},
}
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}, {"api_key": [], "secret_key": []}]


def document(descriptor: descriptor_pb2.FileDescriptorSet) -> dict[str, Any]:
    """The OpenAPI 3.1 document of every public RPC in a descriptor set with source info. Raises ValueError if a path
    belongs to no family.
    """
    schemas = Schemas(descriptor)
    paths: dict[str, dict[str, Any]] = {}
    for service in public_services(descriptor):
        for method in service.methods:
            for route in method.routes:
                paths.setdefault(route.path, {})[route.verb.lower()] = operation(schemas, service, method, route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Assay",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This gateway."}],
        "security": SECURITY,
        "tags": [{"name": family.name, "description": family.description} for family in FAMILIES if _is_used(family.name, paths)],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "responses": {str(status): _refusal(status) for status in ERRORS},
            "schemas": {"Error": ERROR} | dict(sorted(schemas.components.items())),
        },
    }


def _is_used(tag: str, paths: dict[str, dict[str, Any]]) -> bool:
    return any(tag in described["tags"] for operations in paths.values() for described in operations.values())


def _refusal(status: int) -> Schema:
    refusal: Schema = {
        "description": ERRORS[status],
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    return refusal | ({"headers": RETRY} if status in RETRIED else {})
