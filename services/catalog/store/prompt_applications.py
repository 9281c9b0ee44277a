"""Applications of prompts. Those that were deleted are rows still, and unknown to everybody who asks."""

from uuid import UUID

import asyncpg

from services.catalog.entities.prompts import Application, Use
from services.catalog.store.table import UNDELETED, Table
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql

KIND = "prompt application"


def _application(row: asyncpg.Record) -> Application:
    use = Use(row["title"], row["prompt_id"], row["prompt_version_id"])
    return Application(row["id"], row["workspace_id"], use, row["created_at"], row["updated_at"])


APPLICATIONS = Table(
    KIND,
    "prompt_applications",
    "workspace_id, id, prompt_id, prompt_version_id, title, created_at, updated_at",
    _application,
    UNDELETED,
)
get, lock, delete = APPLICATIONS.get, APPLICATIONS.lock, APPLICATIONS.mark_deleted


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


async def page(sql: Sql, workspace: UUID, prompt_id: UUID | None, request: PageRequest) -> Page[Application]:
    """Applications, oldest first, of one prompt or of all."""
    return await APPLICATIONS.page(sql, workspace, request, "($2::uuid IS NULL OR prompt_id = $2)", prompt_id)
