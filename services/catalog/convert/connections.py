"""Connection ⇄ message."""

from typing import Any

from assay.catalog.v1 import connections_pb2 as pb
from services.catalog.convert import fields
from services.catalog.entities.connections import Connection, Settings
from shared.pages import Page

TEXTS = ("base_url", "model")
NUMBERS = ("max_concurrency", "requests_per_minute", "timeout_ms")


def settings(request: pb.CreateConnectionRequest) -> Settings:
    """What is to be made."""
    said = fields.cleared(fields.given(request, (*TEXTS, *NUMBERS)), TEXTS)
    return Settings(name=request.name, kind=fields.enum_name(pb.Connection.Kind, request.kind), **said)


def changes(request: pb.UpdateConnectionRequest) -> dict[str, Any]:
    """What is to change, by the name of the setting."""
    said = fields.cleared(fields.given(request, ("name", *TEXTS, *NUMBERS)), TEXTS)
    if request.HasField("kind"):
        said["kind"] = fields.enum_name(pb.Connection.Kind, request.kind)
    return said


def message(connection: Connection) -> pb.Connection:
    """As it is shown: never with its secret."""
    said = connection.settings
    return pb.Connection(
        id=str(connection.id),
        name=said.name,
        kind=pb.Connection.Kind.Value(said.kind),
        base_url=said.base_url,
        model=said.model,
        max_concurrency=said.max_concurrency,
        requests_per_minute=said.requests_per_minute,
        timeout_ms=said.timeout_ms,
        has_secret=connection.secret is not None,
        created_at=fields.timestamp(connection.created_at),
        updated_at=fields.timestamp(connection.updated_at),
    )


def page(found: Page[Connection]) -> pb.ListConnectionsResponse:
    """A page of them."""
    return pb.ListConnectionsResponse(items=[message(connection) for connection in found.items], **fields.page_numbers(found))
