"""Evaluators: a project's evaluation criteria, and the configurations that belong to no project."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from services.catalog.entities.evaluators import Evaluator, Rule
from shared.errors import NameTaken, NotFound
from shared.pages import PageRequest
from shared.postgres import Connection as Sql

KIND = "evaluation criterion"
NAME_INDEX = "evaluators_name"


async def insert(sql: Sql, made: Sequence[Evaluator]) -> None:
    """Adds evaluators. Raises NameTaken if their project has one of that name."""
    try:
        await sql.executemany(
            """
            INSERT INTO evaluators (workspace_id, id, project_id, name, template, mapping, config, passing_score, is_enabled,
                                    error_localizer, model, description, tags, type, eval_group, reason_column, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
            """,
            [(one.workspace_id, one.id, one.project_id, *_columns(one.rule), one.created_at, one.updated_at) for one in made],
        )
    except asyncpg.UniqueViolationError as clash:
        raise _refusal(clash) from clash


async def update(sql: Sql, changed: Evaluator) -> None:
    """Writes an evaluator back. Raises NameTaken."""
    try:
        await sql.execute(
            """
            UPDATE evaluators
            SET name = $3, template = $4, mapping = $5, config = $6, passing_score = $7, is_enabled = $8, error_localizer = $9, model = $10,
                description = $11, tags = $12, type = $13, eval_group = $14, reason_column = $15, updated_at = $16
            WHERE workspace_id = $1 AND id = $2
            """,
            changed.workspace_id,
            changed.id,
            *_columns(changed.rule),
            changed.updated_at,
        )
    except asyncpg.UniqueViolationError as clash:
        raise _refusal(clash) from clash


async def get(sql: Sql, workspace: UUID, project: UUID | None, evaluator_id: UUID) -> Evaluator:
    """One evaluator of a project, or one of none. Raises NotFound."""
    found = await many(sql, workspace, project, [evaluator_id])
    if not found:
        raise NotFound(KIND)
    return found[0]


async def lock(sql: Sql, workspace: UUID, project: UUID | None, evaluator_id: UUID) -> Evaluator:
    """One evaluator, which nobody else changes before the transaction ends. Raises NotFound."""
    await sql.fetchval("SELECT true FROM evaluators WHERE workspace_id = $1 AND id = $2 FOR UPDATE", workspace, evaluator_id)
    return await get(sql, workspace, project, evaluator_id)


async def many(sql: Sql, workspace: UUID, project: UUID | None, ids: Sequence[UUID]) -> list[Evaluator]:
    """Those of these that are there, in the order in which they are named."""
    rows = await sql.fetch(
        """
        SELECT workspace_id, id, project_id, name, template, mapping, config, passing_score, is_enabled, error_localizer, model,
               description, tags, type, eval_group, reason_column, created_at, updated_at
        FROM evaluators
        WHERE workspace_id = $1 AND project_id IS NOT DISTINCT FROM $2::uuid AND id = ANY($3::uuid[])
        ORDER BY array_position($3::uuid[], id)
        """,
        workspace,
        project,
        list(ids),
    )
    return [_evaluator(row) for row in rows]


async def page(sql: Sql, workspace: UUID, project: UUID, request: PageRequest) -> list[Evaluator]:
    """A project's evaluators, oldest first: those of the page and, where there is one, the next, which tells that there is more."""
    rows = await sql.fetch(
        """
        SELECT workspace_id, id, project_id, name, template, mapping, config, passing_score, is_enabled, error_localizer, model,
               description, tags, type, eval_group, reason_column, created_at, updated_at
        FROM evaluators WHERE workspace_id = $1 AND project_id = $2 ORDER BY id LIMIT $3 OFFSET $4
        """,
        workspace,
        project,
        request.size + 1,
        request.offset,
    )
    return [_evaluator(row) for row in rows]


async def delete(sql: Sql, workspace: UUID, project: UUID | None, evaluator_id: UUID) -> None:
    """Removes an evaluator; runs keep what they judged by. Raises NotFound."""
    gone = await sql.fetchval(
        """
        DELETE FROM evaluators
        WHERE workspace_id = $1 AND project_id IS NOT DISTINCT FROM $2::uuid AND id = $3 RETURNING true
        """,
        workspace,
        project,
        evaluator_id,
    )
    if not gone:
        raise NotFound(KIND)


def _columns(rule: Rule) -> tuple[object, ...]:
    return (
        rule.name,
        rule.template,
        dict(rule.mapping),
        dict(rule.config),
        rule.passing_score,
        rule.is_enabled,
        rule.error_localizer,
        rule.model,
        rule.description,
        list(rule.tags),
        rule.type,
        rule.eval_group,
        rule.reason_column,
    )


def _refusal(clash: asyncpg.UniqueViolationError) -> Exception:
    return NameTaken("name is taken") if clash.constraint_name == NAME_INDEX else clash


def _evaluator(row: asyncpg.Record) -> Evaluator:
    rule = Rule(
        row["name"],
        row["template"],
        row["mapping"],
        row["config"],
        row["passing_score"],
        row["is_enabled"],
        row["error_localizer"],
        row["model"],
        row["description"],
        tuple(row["tags"]),
        row["type"],
        row["eval_group"],
        row["reason_column"],
    )
    return Evaluator(row["id"], row["workspace_id"], row["project_id"], rule, row["created_at"], row["updated_at"])
