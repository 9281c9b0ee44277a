"""Test sets: the rows of test_sets that are no datasets (those have a project, see store/datasets.py)."""

from datetime import datetime
from uuid import UUID

import asyncpg

from services.catalog.entities.queries import SetQuery
from services.catalog.entities.test_sets import Outline, TestSet
from shared.errors import NotFound
from shared.pages import Page
from shared.postgres import Connection as Sql

KIND = "test set"
SORTED_BY = {
    "name": "lower(name)",
    "test_case_count": "test_case_count",
    "last_run_at": "last_run_at",
    "last_run_pass_rate": "last_run_pass_rate",
}


async def insert(sql: Sql, made: TestSet) -> None:
    """Adds a test set without cases."""
    outline = made.outline
    await sql.execute(
        """
        INSERT INTO test_sets (workspace_id, id, context_id, name, description, mode, language, revision, test_case_count,
                               created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        made.workspace_id,
        made.id,
        outline.context_id,
        outline.name,
        outline.description,
        outline.mode,
        outline.language,
        made.revision,
        made.test_case_count,
        made.created_at,
        made.updated_at,
    )


async def update(sql: Sql, changed: TestSet) -> None:
    """Writes back what a caller may change."""
    outline = changed.outline
    await sql.execute(
        """
        UPDATE test_sets SET name = $3, description = $4, mode = $5, language = $6, updated_at = $7
        WHERE workspace_id = $1 AND id = $2
        """,
        changed.workspace_id,
        changed.id,
        outline.name,
        outline.description,
        outline.mode,
        outline.language,
        changed.updated_at,
    )


async def get(sql: Sql, workspace: UUID, set_id: UUID) -> TestSet:
    """One test set. Raises NotFound."""
    row = await sql.fetchrow(
        """
        SELECT workspace_id, id, context_id, name, description, mode, language, revision, test_case_count,
               last_run_at, last_run_pass_rate, created_at, updated_at
        FROM test_sets WHERE workspace_id = $1 AND id = $2 AND kind = 'test_set'
        """,
        workspace,
        set_id,
    )
    if row is None:
        raise NotFound(KIND)
    return _test_set(row)


async def lock(sql: Sql, workspace: UUID, set_id: UUID) -> TestSet:
    """One test set, which nobody else changes before the transaction ends. Raises NotFound."""
    locked = await sql.fetchval("SELECT true FROM test_sets WHERE workspace_id = $1 AND id = $2 FOR UPDATE", workspace, set_id)
    if not locked:
        raise NotFound(KIND)
    return await get(sql, workspace, set_id)


async def next_revision(sql: Sql, workspace: UUID, set_id: UUID, more_cases: int) -> int:
    """Begins a change of the set's cases: locks the set, counts `more_cases` (negative: fewer). Returns its new revision.

    Whoever changes cases calls this first in their transaction, so changes of one set come one after another. Raises NotFound.
    """
    revision: int | None = await sql.fetchval(
        """
        UPDATE test_sets SET revision = revision + 1, test_case_count = test_case_count + $3
        WHERE workspace_id = $1 AND id = $2 AND kind = 'test_set' RETURNING revision
        """,
        workspace,
        set_id,
        more_cases,
    )
    if revision is None:
        raise NotFound(KIND)
    return revision


async def delete(sql: Sql, workspace: UUID, set_id: UUID) -> None:
    """Removes a set. Raises NotFound."""
    query = "DELETE FROM test_sets WHERE workspace_id = $1 AND id = $2 AND kind = 'test_set' RETURNING true"
    if not await sql.fetchval(query, workspace, set_id):
        raise NotFound(KIND)


async def page(sql: Sql, workspace: UUID, context_id: UUID, query: SetQuery) -> Page[TestSet]:
    """A page of a context's sets. Raises NotFound for the context."""
    total = await sql.fetchval(
        """
        SELECT (SELECT count(*) FROM test_sets AS ours
                WHERE ours.workspace_id = $1 AND context_id = $2 AND ($3 = '' OR strpos(lower(ours.name), lower($3)) > 0))
        FROM contexts WHERE contexts.workspace_id = $1 AND contexts.id = $2
        """,
        workspace,
        context_id,
        query.search,
    )
    if total is None:
        raise NotFound("context")
    direction = "DESC" if query.sort.descending else "ASC"
    rows = await sql.fetch(
        f"""
        SELECT workspace_id, id, context_id, name, description, mode, language, revision, test_case_count,
               last_run_at, last_run_pass_rate, created_at, updated_at
        FROM test_sets
        WHERE workspace_id = $1 AND context_id = $2 AND ($3 = '' OR strpos(lower(name), lower($3)) > 0)
        ORDER BY {SORTED_BY[query.sort.by]} {direction} NULLS LAST, id LIMIT $4 OFFSET $5
        """,  # noqa: S608 an entry of a constant table
        workspace,
        context_id,
        query.search,
        query.page.size,
        query.page.offset,
    )
    return Page([_test_set(row) for row in rows], total, query.page)


async def note_run(sql: Sql, workspace: UUID, set_id: UUID, completed_at: datetime, pass_rate: float) -> None:
    """Remembers a completed run, unless a newer one is known or the set is gone."""
    await sql.execute(
        """
        UPDATE test_sets SET last_run_at = $3, last_run_pass_rate = $4
        WHERE workspace_id = $1 AND id = $2 AND (last_run_at IS NULL OR last_run_at < $3)
        """,
        workspace,
        set_id,
        completed_at,
        pass_rate,
    )


def _test_set(row: asyncpg.Record) -> TestSet:
    return TestSet(
        row["id"],
        row["workspace_id"],
        Outline(row["name"], row["context_id"], row["description"], row["mode"], row["language"]),
        row["revision"],
        row["test_case_count"],
        row["last_run_at"],
        row["last_run_pass_rate"],
        row["created_at"],
        row["updated_at"],
    )
