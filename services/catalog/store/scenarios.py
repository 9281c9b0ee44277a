"""Scenarios, and the rows of datasets that some of them execute."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from services.catalog.entities.scenarios import Outline, Scenario
from services.catalog.store.table import NAME_HOLDS, Table
from shared.errors import NotFound
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql

KIND = "scenario"
DATASET_KIND = "dataset"
BATCH_ROWS = 200


def _scenario(row: asyncpg.Record) -> Scenario:
    outline = Outline(
        row["name"],
        row["kind"],
        row["description"],
        tuple(row["script"]),
        row["persona"],
        row["goal"],
        row["dataset_id"],
        row["max_turns"],
    )
    return Scenario(row["id"], row["workspace_id"], outline, row["created_at"], row["updated_at"])


SCENARIOS = Table(
    KIND,
    "scenarios",
    "workspace_id, id, name, description, kind, script, persona, goal, dataset_id, max_turns, created_at, updated_at",
    _scenario,
)
get = SCENARIOS.get


async def insert(sql: Sql, made: Scenario) -> None:
    """Adds a scenario."""
    said = made.outline
    await sql.execute(
        """
        INSERT INTO scenarios (workspace_id, id, name, description, kind, script, persona, goal, dataset_id, max_turns,
                               created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        made.workspace_id,
        made.id,
        said.name,
        said.description,
        said.kind,
        list(said.script),
        said.persona,
        said.goal,
        said.dataset_id,
        said.max_turns,
        made.created_at,
        made.updated_at,
    )


async def many(sql: Sql, workspace: UUID, ids: Sequence[UUID]) -> list[Scenario]:
    """Those of these that there are, in the order in which they are named."""
    return await SCENARIOS.fetch(sql, workspace, "id = ANY($2::uuid[]) ORDER BY array_position($2::uuid[], id)", list(ids))


async def page(sql: Sql, workspace: UUID, request: PageRequest, search: str) -> Page[Scenario]:
    """Scenarios whose name holds `search`, in any case; newest first."""
    return await SCENARIOS.page(sql, workspace, request, NAME_HOLDS, search, newest_first=True)


async def dataset_revisions(sql: Sql, workspace: UUID, dataset_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The revision of each of these datasets that there is."""
    rows = await sql.fetch(
        "SELECT id, revision FROM test_sets WHERE workspace_id = $1 AND id = ANY($2::uuid[]) AND kind <> 'test_set'",
        workspace,
        list(dataset_ids),
    )
    return {row["id"]: row["revision"] for row in rows}


async def require_rows(sql: Sql, workspace: UUID, dataset_ids: Sequence[UUID], row_ids: Sequence[UUID]) -> None:
    """Raises NotFound unless each row is one of these datasets' now."""
    known = await sql.fetchval(
        """
        SELECT count(DISTINCT id) FROM test_cases
        WHERE workspace_id = $1 AND test_set_id = ANY($2::uuid[]) AND id = ANY($3::uuid[]) AND until_rev IS NULL
        """,
        workspace,
        list(dataset_ids),
        list(row_ids),
    )
    if known < len(set(row_ids)):
        raise NotFound("dataset row")


async def rows_at(
    sql: Sql, workspace: UUID, dataset: tuple[UUID, int], wanted: Sequence[UUID], after: tuple[int, UUID] | None
) -> list[asyncpg.Record]:
    """Rows of a dataset at a revision in order, behind (position, id), at most 200; only those `wanted`, unless that is empty."""
    position, row_id = after or (-(2**31), UUID(int=0))
    return await sql.fetch(
        """
        SELECT id, position, question, expected_response, content
        FROM test_cases
        WHERE workspace_id = $1 AND test_set_id = $2 AND from_rev <= $3 AND (until_rev IS NULL OR until_rev > $3)
          AND (cardinality($4::uuid[]) = 0 OR id = ANY($4)) AND (position, id) > ($5, $6)
        ORDER BY position, id LIMIT $7
        """,
        workspace,
        *dataset,
        list(wanted),
        position,
        row_id,
        BATCH_ROWS,
    )
