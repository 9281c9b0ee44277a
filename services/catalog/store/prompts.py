"""Prompts. Those that were deleted are rows still, and unknown to everybody who asks."""

from datetime import datetime
from uuid import UUID

import asyncpg

from services.catalog.entities.prompts import Heading, Prompt
from services.catalog.store.table import UNDELETED, Table
from shared.errors import NotFound
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql

KIND = "prompt"
# What goes with a prompt; a constant, for it becomes part of a statement.
BELONGINGS = ("prompt_versions", "prompt_applications", "prompt_cases")


def _prompt(row: asyncpg.Record) -> Prompt:
    return Prompt(row["id"], row["workspace_id"], Heading(row["title"], row["project_id"]), row["created_at"], row["updated_at"])


PROMPTS = Table(KIND, "prompts", "workspace_id, id, title, project_id, created_at, updated_at", _prompt, UNDELETED)
get, lock = PROMPTS.get, PROMPTS.lock


async def insert(sql: Sql, made: Prompt) -> None:
    """Adds a prompt. Raises NotFound for its project."""
    await _check_project(sql, made)
    await sql.execute(
        "INSERT INTO prompts (workspace_id, id, title, project_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
        made.workspace_id,
        made.id,
        made.heading.title,
        made.heading.project_id,
        made.created_at,
        made.updated_at,
    )


async def update(sql: Sql, changed: Prompt) -> None:
    """Writes a prompt back. Raises NotFound for its project."""
    await _check_project(sql, changed)
    await sql.execute(
        "UPDATE prompts SET title = $3, project_id = $4, updated_at = $5 WHERE workspace_id = $1 AND id = $2",
        changed.workspace_id,
        changed.id,
        changed.heading.title,
        changed.heading.project_id,
        changed.updated_at,
    )


async def hold(sql: Sql, workspace: UUID, prompt_id: UUID) -> None:
    """Keeps a prompt from being deleted before the transaction ends. Raises NotFound."""
    held = await sql.fetchval(
        "SELECT true FROM prompts WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL FOR SHARE", workspace, prompt_id
    )
    if not held:
        raise NotFound(KIND)


async def next_version(sql: Sql, workspace: UUID, prompt_id: UUID) -> int:
    """The number of a version that is being made, from 1; locks the prompt as `lock` does. Raises NotFound."""
    number: int | None = await sql.fetchval(
        """
        UPDATE prompts SET versions_made = versions_made + 1 WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL
        RETURNING versions_made
        """,
        workspace,
        prompt_id,
    )
    if number is None:
        raise NotFound(KIND)
    return number


async def delete(sql: Sql, workspace: UUID, prompt_id: UUID, now: datetime) -> list[UUID]:
    """Deletes a prompt that the caller has locked, and what belongs to it. Returns the ids of its test cases."""
    await sql.execute("UPDATE prompts SET deleted_at = $3 WHERE workspace_id = $1 AND id = $2", workspace, prompt_id, now)
    for table in BELONGINGS:
        rows = await sql.fetch(
            f"UPDATE {table} SET deleted_at = $3 WHERE workspace_id = $1 AND prompt_id = $2 AND deleted_at IS NULL RETURNING id",  # noqa: S608 a constant
            workspace,
            prompt_id,
            now,
        )
    return [row["id"] for row in rows]


async def page(sql: Sql, workspace: UUID, project_id: UUID | None, request: PageRequest) -> Page[Prompt]:
    """Prompts, oldest first, of one project or of all."""
    return await PROMPTS.page(sql, workspace, request, "($2::uuid IS NULL OR project_id = $2)", project_id)


async def check_project(sql: Sql, workspace: UUID, project_id: UUID) -> None:
    """Raises NotFound if the workspace has no such project."""
    if not await sql.fetchval("SELECT true FROM projects WHERE workspace_id = $1 AND id = $2 FOR KEY SHARE", workspace, project_id):
        raise NotFound("project")


async def _check_project(sql: Sql, prompt: Prompt) -> None:
    if prompt.heading.project_id is not None:
        await check_project(sql, prompt.workspace_id, prompt.heading.project_id)
