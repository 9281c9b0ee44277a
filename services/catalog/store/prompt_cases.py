"""Test cases of prompts. Those that were deleted are rows still, and unknown to everybody who asks."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.catalog.entities.prompt_cases import CaseContent, PromptCase
from services.catalog.store.table import UNDELETED, Table
from shared.postgres import Connection as Sql

KIND = "test case"
BATCH = 500


def _case(row: asyncpg.Record) -> PromptCase:
    content = CaseContent(
        row["title"],
        row["messages"],
        row["variables"],
        row["variables_rich_content"],
        row["files"],
        row["expected_output"],
        row["answers"],
        row["application_id"],
        row["metadata"],
    )
    return PromptCase(row["id"], row["workspace_id"], row["prompt_id"], content, row["created_at"], row["updated_at"])


CASES = Table(
    KIND,
    "prompt_cases",
    """
    workspace_id, id, prompt_id, title, messages, variables, variables_rich_content, files, expected_output, answers,
    application_id, metadata, created_at, updated_at
    """,
    _case,
    UNDELETED,
)
get, lock, delete = CASES.get, CASES.lock, CASES.mark_deleted


async def insert(sql: Sql, made: Sequence[PromptCase]) -> None:
    """Adds test cases."""
    # No COPY: its binary format knows no jsonb that is written as text.
    await sql.executemany(
        """
        INSERT INTO prompt_cases (workspace_id, id, prompt_id, title, messages, variables, variables_rich_content, files,
                                  expected_output, answers, application_id, metadata, updated_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """,
        [(*_columns(case), case.created_at) for case in made],
    )


async def update(sql: Sql, changed: PromptCase) -> None:
    """Writes a test case back."""
    await sql.execute(
        """
        UPDATE prompt_cases SET title = $4, messages = $5, variables = $6, variables_rich_content = $7, files = $8, expected_output = $9,
                                answers = $10, application_id = $11, metadata = $12, updated_at = $13
        WHERE workspace_id = $1 AND id = $2 AND prompt_id = $3
        """,
        *_columns(changed),
    )


async def batch(sql: Sql, workspace: UUID, prompt_id: UUID, after: UUID) -> list[PromptCase]:
    """The test cases of a prompt that were made after this one, oldest first, at most 500."""
    return await CASES.fetch(sql, workspace, "prompt_id = $2 AND id > $3 ORDER BY id LIMIT $4", prompt_id, after, BATCH)


def _columns(of: PromptCase) -> tuple[Any, ...]:
    said = of.content
    return (
        of.workspace_id,
        of.id,
        of.prompt_id,
        said.title,
        said.messages,
        said.variables,
        said.variables_rich_content,
        said.files,
        said.expected_output,
        said.answers,
        said.application_id,
        said.metadata,
        of.updated_at,
    )
