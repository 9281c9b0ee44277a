"""Agents and their versions."""

from uuid import UUID

import asyncpg

from services.catalog.entities.agents import Agent, Definition, Outline, Version
from shared.errors import InUse, NotFound
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql

KIND = "assistant"
VERSION_KIND = "assistant version"


async def insert(sql: Sql, made: Agent) -> None:
    """Adds an agent with its first version."""
    await sql.execute(
        """
        INSERT INTO agents (workspace_id, id, name, description, agent_type, main_version_id, version_count, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        made.workspace_id,
        made.id,
        made.outline.name,
        made.outline.description,
        made.outline.agent_type,
        made.main.id,
        made.version_count,
        made.created_at,
        made.updated_at,
    )
    await insert_version(sql, made.main)


async def update(sql: Sql, changed: Agent) -> None:
    """Writes an agent back, its versions aside."""
    await sql.execute(
        """
        UPDATE agents SET name = $3, description = $4, agent_type = $5, main_version_id = $6, version_count = $7, updated_at = $8
        WHERE workspace_id = $1 AND id = $2
        """,
        changed.workspace_id,
        changed.id,
        changed.outline.name,
        changed.outline.description,
        changed.outline.agent_type,
        changed.main.id,
        changed.version_count,
        changed.updated_at,
    )


async def insert_version(sql: Sql, made: Version) -> None:
    """Adds a version."""
    said = made.definition
    await sql.execute(
        """
        INSERT INTO agent_versions (workspace_id, agent_id, id, number, instructions, connection_id, model, tools, language, note, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        made.workspace_id,
        made.agent_id,
        made.id,
        made.number,
        said.instructions,
        said.connection_id,
        said.model,
        list(said.tools),
        said.language,
        said.note,
        made.created_at,
    )


async def get(sql: Sql, workspace: UUID, agent_id: UUID) -> Agent:
    """One agent. Raises NotFound."""
    row = await sql.fetchrow(
        """
        SELECT a.workspace_id, a.id AS agent_id, a.name, a.description, a.agent_type, a.version_count, a.created_at AS agent_created_at,
               a.updated_at, v.id, v.number, v.instructions, v.connection_id, v.model, v.tools, v.language, v.note, v.created_at,
               true AS is_main
        FROM agents a JOIN agent_versions v ON v.workspace_id = a.workspace_id AND v.id = a.main_version_id
        WHERE a.workspace_id = $1 AND a.id = $2
        """,
        workspace,
        agent_id,
    )
    if row is None:
        raise NotFound(KIND)
    return _agent(row)


async def lock(sql: Sql, workspace: UUID, agent_id: UUID) -> Agent:
    """One agent, which nobody else changes before the transaction ends. Raises NotFound."""
    if not await sql.fetchval("SELECT true FROM agents WHERE workspace_id = $1 AND id = $2 FOR UPDATE", workspace, agent_id):
        raise NotFound(KIND)
    return await get(sql, workspace, agent_id)


async def hold(sql: Sql, workspace: UUID, agent_id: UUID) -> None:
    """Keeps an agent from being deleted before the transaction ends. Raises NotFound."""
    if not await sql.fetchval("SELECT true FROM agents WHERE workspace_id = $1 AND id = $2 FOR KEY SHARE", workspace, agent_id):
        raise NotFound(KIND)


async def page(sql: Sql, workspace: UUID, request: PageRequest, search: str = "") -> Page[Agent]:
    """Agents whose name holds `search`, in any case; newest first."""
    total = await sql.fetchval(
        "SELECT count(*) FROM agents WHERE workspace_id = $1 AND ($2 = '' OR strpos(lower(name), lower($2)) > 0)", workspace, search
    )
    rows = await sql.fetch(
        """
        SELECT a.workspace_id, a.id AS agent_id, a.name, a.description, a.agent_type, a.version_count, a.created_at AS agent_created_at,
               a.updated_at, v.id, v.number, v.instructions, v.connection_id, v.model, v.tools, v.language, v.note, v.created_at,
               true AS is_main
        FROM agents a JOIN agent_versions v ON v.workspace_id = a.workspace_id AND v.id = a.main_version_id
        WHERE a.workspace_id = $1 AND ($2 = '' OR strpos(lower(a.name), lower($2)) > 0)
        ORDER BY a.id DESC LIMIT $3 OFFSET $4
        """,
        workspace,
        search,
        request.size,
        request.offset,
    )
    return Page([_agent(row) for row in rows], total, request)


async def get_version(sql: Sql, workspace: UUID, agent_id: UUID, version_id: UUID) -> Version:
    """One version of an agent. Raises NotFound for the version, also where it is another agent's."""
    row = await sql.fetchrow(
        """
        SELECT v.workspace_id, v.agent_id, v.id, v.number, v.instructions, v.connection_id, v.model, v.tools, v.language, v.note,
               v.created_at, v.id = a.main_version_id AS is_main
        FROM agent_versions v JOIN agents a ON a.workspace_id = v.workspace_id AND a.id = v.agent_id
        WHERE v.workspace_id = $1 AND v.agent_id = $2 AND v.id = $3
        """,
        workspace,
        agent_id,
        version_id,
    )
    if row is None:
        raise NotFound(VERSION_KIND)
    return _version(row)


async def versions(sql: Sql, workspace: UUID, agent_id: UUID, request: PageRequest) -> Page[Version]:
    """Versions of an agent, newest first. Raises NotFound for the agent."""
    total = await sql.fetchval("SELECT version_count FROM agents WHERE workspace_id = $1 AND id = $2", workspace, agent_id)
    if total is None:
        raise NotFound(KIND)
    rows = await sql.fetch(
        """
        SELECT v.workspace_id, v.agent_id, v.id, v.number, v.instructions, v.connection_id, v.model, v.tools, v.language, v.note,
               v.created_at, v.id = a.main_version_id AS is_main
        FROM agent_versions v JOIN agents a ON a.workspace_id = v.workspace_id AND a.id = v.agent_id
        WHERE v.workspace_id = $1 AND v.agent_id = $2 ORDER BY v.number DESC LIMIT $3 OFFSET $4
        """,
        workspace,
        agent_id,
        request.size,
        request.offset,
    )
    return Page([_version(row) for row in rows], total, request)


async def delete(sql: Sql, workspace: UUID, agent_id: UUID) -> None:
    """Removes an agent with its versions. Raises NotFound, or InUse where another table points to it."""
    try:
        gone = await sql.fetchval("DELETE FROM agents WHERE workspace_id = $1 AND id = $2 RETURNING true", workspace, agent_id)
    except asyncpg.ForeignKeyViolationError:
        raise InUse("the assistant is used by a run test") from None
    if not gone:
        raise NotFound(KIND)


async def versions_on(sql: Sql, workspace: UUID, connection_id: UUID) -> int:
    """How many versions a connection answers for."""
    count: int = await sql.fetchval(
        "SELECT count(*) FROM agent_versions WHERE workspace_id = $1 AND connection_id = $2", workspace, connection_id
    )
    return count


def _agent(row: asyncpg.Record) -> Agent:
    outline = Outline(row["name"], row["description"], row["agent_type"])
    return Agent(
        row["agent_id"], row["workspace_id"], outline, _version(row), row["version_count"], row["agent_created_at"], row["updated_at"]
    )


def _version(row: asyncpg.Record) -> Version:
    said = Definition(row["connection_id"], row["instructions"], row["model"], tuple(row["tools"]), row["language"], row["note"])
    return Version(row["id"], row["workspace_id"], row["agent_id"], row["number"], said, row["is_main"], row["created_at"])
