"""Datasets: the test sets that belong to a project."""

from uuid import UUID

import asyncpg

from services.catalog.entities.datasets import Dataset, DatasetOutline, DatasetRef
from services.catalog.store import workspaces
from shared.errors import NameTaken, NotFound
from shared.pages import PageRequest
from shared.postgres import Connection as Sql

KIND = "dataset"
NAME_INDEX = "datasets_name"
# What a test set has and a dataset doesn't: each of its cases stands alone.
MODE = "independent"
LANGUAGE = "en"


async def insert(sql: Sql, made: Dataset) -> None:
    """Adds a dataset without cases. Raises NameTaken."""
    outline = made.outline
    try:
        await sql.execute(
            """
            INSERT INTO test_sets (workspace_id, id, project_id, kind, name, description, settings, mode, language, revision,
                                   test_case_count, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            """,
            made.workspace_id,
            made.id,
            made.project_id,
            made.kind,
            outline.name,
            outline.description,
            _settings(outline),
            MODE,
            LANGUAGE,
            made.revision,
            made.case_count,
            made.created_at,
            made.updated_at,
        )
    except asyncpg.UniqueViolationError as clash:
        raise _refusal(clash) from clash


async def update(sql: Sql, changed: Dataset) -> None:
    """Writes back what a caller may change. Raises NameTaken."""
    outline = changed.outline
    try:
        await sql.execute(
            """
            UPDATE test_sets SET name = $3, description = $4, settings = $5, updated_at = $6
            WHERE workspace_id = $1 AND id = $2
            """,
            changed.workspace_id,
            changed.id,
            outline.name,
            outline.description,
            _settings(outline),
            changed.updated_at,
        )
    except asyncpg.UniqueViolationError as clash:
        raise _refusal(clash) from clash


async def get(sql: Sql, workspace: UUID, ref: DatasetRef) -> Dataset:
    """One dataset. Raises NotFound, for its project too."""
    row = await sql.fetchrow(
        """
        SELECT workspace_id, id, project_id, kind, name, description, settings, revision, test_case_count, created_at, updated_at
        FROM test_sets WHERE workspace_id = $1 AND project_id = $2 AND kind = ANY($3::text[]) AND (id = $4 OR name = $5)
        """,
        workspace,
        ref.project_id,
        list(ref.kinds),
        ref.id,
        ref.name,
    )
    if row is None:
        await workspaces.require_project(sql, workspace, ref.project_id)
        raise NotFound(KIND)
    return _dataset(row)


async def lock(sql: Sql, workspace: UUID, ref: DatasetRef) -> Dataset:
    """One dataset, which nobody else changes before the transaction ends. Raises NotFound, for its project too."""
    found = await get(sql, workspace, ref)
    await sql.fetchval("SELECT true FROM test_sets WHERE workspace_id = $1 AND id = $2 FOR UPDATE", workspace, found.id)
    return await get(sql, workspace, ref)


async def check(sql: Sql, workspace: UUID, dataset_id: UUID) -> None:
    """Raises NotFound if no project of the workspace has this dataset."""
    query = "SELECT true FROM test_sets WHERE workspace_id = $1 AND id = $2 AND project_id IS NOT NULL"
    if not await sql.fetchval(query, workspace, dataset_id):
        raise NotFound(KIND)


async def next_revision(sql: Sql, dataset: Dataset, more_cases: int) -> int:
    """Begins a change of its cases: locks the dataset, counts `more_cases`. Returns its new revision. Raises NotFound."""
    revision: int | None = await sql.fetchval(
        """
        UPDATE test_sets SET revision = revision + 1, test_case_count = test_case_count + $3
        WHERE workspace_id = $1 AND id = $2 RETURNING revision
        """,
        dataset.workspace_id,
        dataset.id,
        more_cases,
    )
    if revision is None:
        raise NotFound(KIND)
    return revision


async def delete(sql: Sql, dataset: Dataset) -> None:
    """Removes a dataset."""
    await sql.execute("DELETE FROM test_sets WHERE workspace_id = $1 AND id = $2", dataset.workspace_id, dataset.id)


async def page(sql: Sql, workspace: UUID, ref: DatasetRef, request: PageRequest) -> list[Dataset]:
    """A project's datasets, oldest first: those of the page and, where there is one, the next. Raises NotFound for the project."""
    await workspaces.require_project(sql, workspace, ref.project_id)
    rows = await sql.fetch(
        """
        SELECT workspace_id, id, project_id, kind, name, description, settings, revision, test_case_count, created_at, updated_at
        FROM test_sets WHERE workspace_id = $1 AND project_id = $2 AND kind = ANY($3::text[])
        ORDER BY id LIMIT $4 OFFSET $5
        """,
        workspace,
        ref.project_id,
        list(ref.kinds),
        request.size + 1,
        request.offset,
    )
    return [_dataset(row) for row in rows]


def _settings(outline: DatasetOutline) -> dict[str, object]:
    return {
        "input_names": list(outline.input_names),
        "media_input_names": list(outline.media_input_names),
        "support_history": outline.support_history,
    }


def _refusal(clash: asyncpg.UniqueViolationError) -> Exception:
    return NameTaken("name is taken") if clash.constraint_name == NAME_INDEX else clash


def _dataset(row: asyncpg.Record) -> Dataset:
    settings = row["settings"]
    outline = DatasetOutline(
        row["name"],
        row["description"],
        tuple(settings["input_names"]),
        tuple(settings["media_input_names"]),
        settings["support_history"],
    )
    return Dataset(
        row["id"],
        row["workspace_id"],
        row["project_id"],
        row["kind"],
        outline,
        row["revision"],
        row["test_case_count"],
        row["created_at"],
        row["updated_at"],
    )
