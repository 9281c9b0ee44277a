"""Contexts."""

from uuid import UUID

import asyncpg

from services.catalog.entities.contexts import Context, Prompt
from services.catalog.store.table import Table
from shared.errors import NotFound
from shared.postgres import Connection as Sql

KIND = "context"


def _context(row: asyncpg.Record) -> Context:
    prompt = Prompt(row["name"], row["connection_id"], row["statement"], row["model"], row["parameters"])
    return Context(row["id"], row["workspace_id"], prompt, row["created_at"], row["updated_at"])


CONTEXTS = Table(KIND, "contexts", "workspace_id, id, name, statement, connection_id, model, parameters, created_at, updated_at", _context)
get, lock, page = CONTEXTS.get, CONTEXTS.lock, CONTEXTS.page


async def insert(sql: Sql, made: Context) -> None:
    """Adds a context."""
    prompt = made.prompt
    await sql.execute(
        """
        INSERT INTO contexts (workspace_id, id, name, statement, connection_id, model, parameters, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        made.workspace_id,
        made.id,
        prompt.name,
        prompt.statement,
        prompt.connection_id,
        prompt.model,
        prompt.parameters,
        made.created_at,
        made.updated_at,
    )


async def update(sql: Sql, changed: Context) -> None:
    """Writes a context back."""
    prompt = changed.prompt
    await sql.execute(
        """
        UPDATE contexts SET name = $3, statement = $4, connection_id = $5, model = $6, parameters = $7, updated_at = $8
        WHERE workspace_id = $1 AND id = $2
        """,
        changed.workspace_id,
        changed.id,
        prompt.name,
        prompt.statement,
        prompt.connection_id,
        prompt.model,
        prompt.parameters,
        changed.updated_at,
    )


async def hold(sql: Sql, workspace: UUID, context_id: UUID) -> None:
    """Keeps a context from being deleted before the transaction ends. Raises NotFound."""
    if not await sql.fetchval("SELECT true FROM contexts WHERE workspace_id = $1 AND id = $2 FOR KEY SHARE", workspace, context_id):
        raise NotFound(KIND)


async def delete(sql: Sql, workspace: UUID, context_id: UUID) -> None:
    """Removes a context that nothing uses."""
    await sql.execute("DELETE FROM contexts WHERE workspace_id = $1 AND id = $2", workspace, context_id)


async def sets_of(sql: Sql, workspace: UUID, context_id: UUID) -> int:
    """How many test sets belong to it."""
    count: int = await sql.fetchval("SELECT count(*) FROM test_sets WHERE workspace_id = $1 AND context_id = $2", workspace, context_id)
    return count
