"""Workspaces, their projects, and who judges in them."""

from uuid import UUID

from services.catalog.entities.workspaces import Judge, Project, Workspace
from shared.errors import NotFound
from shared.postgres import Connection as Sql

PROJECT = "project"


async def insert(sql: Sql, workspace: Workspace) -> None:
    """Adds a workspace."""
    await sql.execute(
        "INSERT INTO workspaces (id, name, created_at) VALUES ($1, $2, $3)", workspace.id, workspace.name, workspace.created_at
    )


async def require(sql: Sql, workspace: UUID) -> None:
    """Raises NotFound if there is no such workspace."""
    if not await sql.fetchval("SELECT true FROM workspaces WHERE id = $1", workspace):
        raise NotFound("workspace")


async def insert_project(sql: Sql, project: Project) -> None:
    """Adds a project."""
    await sql.execute(
        "INSERT INTO projects (workspace_id, id, name, created_at) VALUES ($1, $2, $3, $4)",
        project.workspace_id,
        project.id,
        project.name,
        project.created_at,
    )


async def require_project(sql: Sql, workspace: UUID, project: UUID) -> None:
    """Raises NotFound if the workspace has no such project."""
    if not await sql.fetchval("SELECT true FROM projects WHERE workspace_id = $1 AND id = $2", workspace, project):
        raise NotFound(PROJECT)


async def set_judge(sql: Sql, workspace: UUID, judge: Judge) -> None:
    """Says who judges from now on."""
    await sql.execute(
        "UPDATE workspaces SET judge_connection_id = $2, judge_model = $3, require_judge = $4 WHERE id = $1",
        workspace,
        judge.connection_id,
        judge.model,
        judge.required,
    )


async def judge(sql: Sql, workspace: UUID) -> Judge:
    """Who judges; nobody in a workspace that isn't known."""
    row = await sql.fetchrow("SELECT judge_connection_id, judge_model, require_judge FROM workspaces WHERE id = $1", workspace)
    return Judge(row["judge_connection_id"], row["judge_model"], row["require_judge"]) if row else Judge()
