"""Versions of prompts. Those that were deleted are rows still, and unknown to everybody who asks."""

from typing import Any
from uuid import UUID

import asyncpg

from services.catalog.entities.prompt_versions import PromptVersion, Wording
from services.catalog.store.table import UNDELETED, Table
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql

KIND = "prompt version"


def _version(row: asyncpg.Record) -> PromptVersion:
    wording = Wording(row["title"], row["messages"], row["variables"], row["configuration"], row["promoted"], row["draft"])
    return PromptVersion(row["id"], row["workspace_id"], row["prompt_id"], wording, row["created_at"], row["updated_at"])


VERSIONS = Table(
    KIND,
    "prompt_versions",
    "workspace_id, id, prompt_id, title, messages, variables, configuration, promoted, draft, created_at, updated_at",
    _version,
    UNDELETED,
)
get, delete = VERSIONS.get, VERSIONS.mark_deleted


async def insert(sql: Sql, made: PromptVersion) -> None:
    """Adds a version of a prompt that the caller has locked; promoted, it takes the place of the one that was."""
    await _demote_others(sql, made)
    await sql.execute(
        """
        INSERT INTO prompt_versions (workspace_id, id, prompt_id, title, messages, variables, configuration, promoted, draft,
                                     updated_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        *_columns(made),
        made.created_at,
    )


async def update(sql: Sql, changed: PromptVersion) -> None:
    """Writes a version back, under the lock of its prompt; promoted, it takes the place of the one that was."""
    await _demote_others(sql, changed)
    await sql.execute(
        """
        UPDATE prompt_versions SET title = $4, messages = $5, variables = $6, configuration = $7, promoted = $8, draft = $9, updated_at = $10
        WHERE workspace_id = $1 AND id = $2 AND prompt_id = $3
        """,
        *_columns(changed),
    )


async def promoted(sql: Sql, workspace: UUID, prompt_id: UUID) -> PromptVersion | None:
    """The version of a prompt that is in use, if there is one."""
    found = await VERSIONS.fetch(sql, workspace, "prompt_id = $2 AND promoted", prompt_id)
    return found[0] if found else None


async def page(sql: Sql, workspace: UUID, prompt_id: UUID, request: PageRequest) -> Page[PromptVersion]:
    """The versions of a prompt, oldest first."""
    return await VERSIONS.page(sql, workspace, request, "prompt_id = $2", prompt_id)


async def _demote_others(sql: Sql, version: PromptVersion) -> None:
    if version.wording.promoted:
        await sql.execute(
            """
            UPDATE prompt_versions SET promoted = false, updated_at = $4
            WHERE workspace_id = $1 AND prompt_id = $2 AND promoted AND id <> $3
            """,
            version.workspace_id,
            version.prompt_id,
            version.id,
            version.updated_at,
        )


def _columns(of: PromptVersion) -> tuple[Any, ...]:
    said = of.wording
    return (
        of.workspace_id,
        of.id,
        of.prompt_id,
        said.title,
        list(said.messages),
        None if said.variables is None else list(said.variables),
        said.configuration,
        said.promoted,
        said.draft,
        of.updated_at,
    )
