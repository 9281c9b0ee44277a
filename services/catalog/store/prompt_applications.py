"""Applications of prompts. Those that were deleted are rows still, and unknown to everybody who asks."""

from datetime import datetime
from uuid import UUID

import asyncpg

from services.catalog.entities.prompts import Application, Use
from shared.errors import NotFound
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql

KIND = "prompt application"


async def insert(sql: Sql, made: Application) -> None:
    """Adds an application."""
    await sql.execute(
        """
        INSERT INTO prompt_applications (workspace_id, id, prompt_id, prompt_version_id, title, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        made.workspace_id,
        made.id,
        made.use.prompt_id,
        made.use.version_id,
        made.use.title,
        made.created_at,
        made.updated_at,
    )


async def update(sql: Sql, changed: Application) -> None:
    """Writes an application back."""
    await sql.execute(
        "UPDATE prompt_applications SET prompt_version_id = $3, title = $4, updated_at = $5 WHERE workspace_id = $1 AND id = $2",
        changed.workspace_id,
        changed.id,
        changed.use.version_id,
        changed.use.title,
        changed.updated_at,
    )


async def get(sql: Sql, workspace: UUID, application_id: UUID) -> Application:
    """One application. Raises NotFound."""
    row = await sql.fetchrow(
        """
        SELECT workspace_id, id, prompt_id, prompt_version_id, title, created_at, updated_at
        FROM prompt_applications WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL
        """,
        workspace,
        application_id,
    )
    if row is None:
        raise NotFound(KIND)
    return _application(row)


async def lock(sql: Sql, workspace: UUID, application_id: UUID) -> Application:
    """One application, which nobody else changes or deletes before the transaction ends. Raises NotFound."""
    await sql.execute("SELECT FROM prompt_applications WHERE workspace_id = $1 AND id = $2 FOR UPDATE", workspace, application_id)
    return await get(sql, workspace, application_id)


async def page(sql: Sql, workspace: UUID, prompt_id: UUID | None, request: PageRequest) -> Page[Application]:
    """Applications, oldest first, of one prompt or of all."""
    total = await sql.fetchval(
        "SELECT count(*) FROM prompt_applications WHERE workspace_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR prompt_id = $2)",
        workspace,
        prompt_id,
    )
    rows = await sql.fetch(
        """
        SELECT workspace_id, id, prompt_id, prompt_version_id, title, created_at, updated_at
        FROM prompt_applications WHERE workspace_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR prompt_id = $2)
        ORDER BY id LIMIT $3 OFFSET $4
        """,
        workspace,
        prompt_id,
        request.size,
        request.offset,
    )
    return Page([_application(row) for row in rows], total, request)


async def delete(sql: Sql, workspace: UUID, application_id: UUID, now: datetime) -> None:
    """Deletes an application. Raises NotFound."""
    gone = await sql.fetchval(
        "UPDATE prompt_applications SET deleted_at = $3 WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING true",
        workspace,
        application_id,
        now,
    )
    if not gone:
        raise NotFound(KIND)


def _application(row: asyncpg.Record) -> Application:
    use = Use(row["title"], row["prompt_id"], row["prompt_version_id"])
    return Application(row["id"], row["workspace_id"], use, row["created_at"], row["updated_at"])
