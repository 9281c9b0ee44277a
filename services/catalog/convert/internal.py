"""What the other services are told → messages."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from assay.catalog.internal.v1 import catalog_pb2 as pb
from services.catalog.convert.contexts import struct
from services.catalog.entities.connections import Connection
from services.catalog.operations.targets import Access, Judging, Resolved
from shared.identity import Credential, Principal


def credential(request: pb.AuthenticateRequest) -> Credential:
    """What was sent."""
    return Credential(request.token, request.api_key, request.secret_key)


def principal(found: Principal | None) -> pb.Principal:
    """Whose it is; nobody's without a workspace."""
    if found is None:
        return pb.Principal()
    return pb.Principal(workspace_id=str(found.workspace_id), scopes=sorted(found.scopes), credential_id=found.credential_id)


def resolved(found: Resolved) -> pb.ResolvedTarget:
    """A set and its target."""
    return pb.ResolvedTarget(
        revision=found.test_set.revision,
        case_count=found.test_set.test_case_count,
        mode=found.test_set.outline.mode,
        language=found.test_set.outline.language,
        target=target(found.connection, found.model, found.context.prompt.statement, found.context.prompt.parameters),
    )


def target(connection: Connection, model: str | None, statement: str = "", parameters: Mapping[str, Any] | None = None) -> pb.Target:
    """What is called, whatever stands for a context in its family."""
    settings = connection.settings
    return pb.Target(
        connection_id=str(connection.id),
        connection_revision=connection.revision,
        kind=settings.kind,
        base_url=settings.base_url or "",
        model=model or "",
        statement=statement,
        parameters=struct(parameters),
        max_concurrency=settings.max_concurrency,
        requests_per_minute=settings.requests_per_minute or 0,
        timeout_ms=settings.timeout_ms,
    )


def access(found: Access) -> pb.ConnectionAccess:
    """How a connection is reached."""
    settings = found.connection.settings
    return pb.ConnectionAccess(
        revision=found.connection.revision,
        base_url=settings.base_url or "",
        api_key=found.api_key,
        max_concurrency=settings.max_concurrency,
        requests_per_minute=settings.requests_per_minute or 0,
        timeout_ms=settings.timeout_ms,
    )


def judging(found: Judging) -> pb.JudgeSettings:
    """Who judges."""
    judge = access(found.access) if found.access else None
    return pb.JudgeSettings(judge=judge, model=found.model or "", require_judge=found.required)


def case_batch(rows: Sequence[asyncpg.Record]) -> pb.CaseBatch:
    """Rows of cases, made straight into messages: a run waits for 10,000 of them."""
    return pb.CaseBatch(
        cases=[
            pb.Case(
                id=str(row["id"]),
                question=row["question"],
                expected=row["expected_response"],
                test_method=row["test_method"],
                passing_score=row["passing_score"],
                keywords=row["keywords"],
                file_url=row["file_url"] or "",
                file_mime_type=row["file_mime_type"] or "",
            )
            for row in rows
        ]
    )
