"""Connections."""

from typing import Any
from uuid import UUID

import asyncpg

from services.catalog.entities.connections import Connection, Sealed, Settings
from services.catalog.store.table import Table
from shared.errors import NotFound
from shared.postgres import Connection as Sql

KIND = "connection"


def _connection(row: asyncpg.Record) -> Connection:
    return Connection(
        row["id"],
        row["workspace_id"],
        Settings(
            row["name"],
            row["kind"],
            row["base_url"],
            row["model"],
            row["max_concurrency"],
            row["requests_per_minute"],
            row["timeout_ms"],
        ),
        Sealed(row["secret_key_id"], row["secret"]) if row["secret"] is not None else None,
        row["revision"],
        row["created_at"],
        row["updated_at"],
    )


CONNECTIONS = Table(
    KIND,
    "connections",
    """
    workspace_id, id, name, kind, base_url, model, max_concurrency, requests_per_minute, timeout_ms, secret, secret_key_id, revision,
    created_at, updated_at
    """,
    _connection,
)
get, lock, page = CONNECTIONS.get, CONNECTIONS.lock, CONNECTIONS.page


async def insert(sql: Sql, made: Connection) -> None:
    """Adds a connection."""
    await sql.execute(
        """
        INSERT INTO connections (workspace_id, id, name, kind, base_url, model, max_concurrency, requests_per_minute, timeout_ms,
                                 secret, secret_key_id, revision, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """,
        *_columns(made),
        made.created_at,
        made.updated_at,
    )


async def update(sql: Sql, changed: Connection) -> None:
    """Writes a connection back."""
    await sql.execute(
        """
        UPDATE connections SET name = $3, kind = $4, base_url = $5, model = $6, max_concurrency = $7, requests_per_minute = $8,
                               timeout_ms = $9, secret = $10, secret_key_id = $11, revision = $12, updated_at = $13
        WHERE workspace_id = $1 AND id = $2
        """,
        *_columns(changed),
        changed.updated_at,
    )


async def hold(sql: Sql, workspace: UUID, connection_id: UUID) -> Connection:
    """One connection, which nobody deletes before the transaction ends. Raises NotFound."""
    held = await sql.fetchval("SELECT true FROM connections WHERE workspace_id = $1 AND id = $2 FOR KEY SHARE", workspace, connection_id)
    if not held:
        raise NotFound(KIND)
    return await get(sql, workspace, connection_id)


async def delete(sql: Sql, workspace: UUID, connection_id: UUID) -> None:
    """Removes a connection that nothing uses."""
    await sql.execute("DELETE FROM connections WHERE workspace_id = $1 AND id = $2", workspace, connection_id)


async def uses(sql: Sql, workspace: UUID, connection_id: UUID) -> tuple[int, bool]:
    """How many contexts use it, and whether it judges."""
    row = await sql.fetchrow(
        """
        SELECT (SELECT count(*) FROM contexts WHERE workspace_id = $1 AND connection_id = $2) AS contexts,
               EXISTS (SELECT FROM workspaces WHERE id = $1 AND judge_connection_id = $2) AS judges
        """,
        workspace,
        connection_id,
    )
    return (row["contexts"], row["judges"]) if row else (0, False)


async def sealed_otherwise(sql: Sql, key_id: str) -> list[tuple[UUID, UUID]]:
    """(workspace, id) of the connections, of all workspaces, whose secret is sealed with another key than this one."""
    rows = await sql.fetch(
        "SELECT workspace_id, id FROM connections WHERE secret_key_id IS NOT NULL AND secret_key_id <> $1 ORDER BY id", key_id
    )
    return [(row["workspace_id"], row["id"]) for row in rows]


def _columns(of: Connection) -> tuple[Any, ...]:
    said, secret = of.settings, of.secret
    return (
        of.workspace_id,
        of.id,
        said.name,
        said.kind,
        said.base_url,
        said.model,
        said.max_concurrency,
        said.requests_per_minute,
        said.timeout_ms,
        secret.box if secret else None,
        secret.key_id if secret else None,
        of.revision,
    )
