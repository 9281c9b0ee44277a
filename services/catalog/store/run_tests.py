"""Run tests."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from services.catalog.entities.run_tests import RunTest
from services.catalog.store.table import NAME_HOLDS, Table
from shared.errors import NameTaken, NotFound
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql

KIND = "run test"
NAME_CONSTRAINT = "run_tests_name"


def _run_test(row: asyncpg.Record) -> RunTest:
    return RunTest(
        row["id"],
        row["workspace_id"],
        row["name"],
        row["description"],
        row["agent_id"],
        row["agent_version_id"],
        tuple(row["scenario_ids"]),
        tuple(row["evaluator_ids"]),
        tuple(row["dataset_row_ids"]),
        row["enable_tool_evaluation"],
        row["created_at"],
        row["updated_at"],
    )


RUN_TESTS = Table(
    KIND,
    "run_tests",
    """
    workspace_id, id, name, description, agent_id, agent_version_id, scenario_ids, evaluator_ids, dataset_row_ids,
    enable_tool_evaluation, created_at, updated_at
    """,
    _run_test,
)
get, lock = RUN_TESTS.get, RUN_TESTS.lock


async def insert(sql: Sql, made: RunTest) -> None:
    """Adds a run test. Raises NameTaken."""
    try:
        await sql.execute(
            """
            INSERT INTO run_tests (workspace_id, id, name, description, agent_id, agent_version_id, scenario_ids, evaluator_ids,
                                   dataset_row_ids, enable_tool_evaluation, updated_at, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            """,
            *_columns(made),
            made.created_at,
        )
    except asyncpg.UniqueViolationError as clash:
        raise _refusal(clash) from clash


async def update(sql: Sql, changed: RunTest) -> None:
    """Writes a run test back. Raises NameTaken."""
    try:
        await sql.execute(
            """
            UPDATE run_tests SET name = $3, description = $4, agent_id = $5, agent_version_id = $6, scenario_ids = $7,
                                 evaluator_ids = $8, dataset_row_ids = $9, enable_tool_evaluation = $10, updated_at = $11
            WHERE workspace_id = $1 AND id = $2
            """,
            *_columns(changed),
        )
    except asyncpg.UniqueViolationError as clash:
        raise _refusal(clash) from clash


async def named(sql: Sql, workspace: UUID, names: Sequence[str]) -> tuple[UUID, str]:
    """Id and name of the run test that bears the first of these names that any bears. Raises NotFound."""
    row = await sql.fetchrow(
        "SELECT id, name FROM run_tests WHERE workspace_id = $1 AND name = ANY($2::text[]) ORDER BY array_position($2::text[], name) LIMIT 1",
        workspace,
        list(names),
    )
    if row is None:
        raise NotFound(KIND)
    return row["id"], row["name"]


async def page(sql: Sql, workspace: UUID, request: PageRequest, search: str) -> Page[RunTest]:
    """Run tests whose name holds `search`, in any case; newest first."""
    return await RUN_TESTS.page(sql, workspace, request, NAME_HOLDS, search, newest_first=True)


async def delete(sql: Sql, workspace: UUID, run_test_id: UUID) -> None:
    """Removes a run test; its evaluators stay, others may use them. Raises NotFound."""
    if not await sql.fetchval("DELETE FROM run_tests WHERE workspace_id = $1 AND id = $2 RETURNING true", workspace, run_test_id):
        raise NotFound(KIND)


def _columns(run_test: RunTest) -> tuple[object, ...]:
    return (
        run_test.workspace_id,
        run_test.id,
        run_test.name,
        run_test.description,
        run_test.agent_id,
        run_test.version_id,
        list(run_test.scenario_ids),
        list(run_test.evaluator_ids),
        list(run_test.row_ids),
        run_test.tool_evaluation,
        run_test.updated_at,
    )


def _refusal(clash: asyncpg.UniqueViolationError) -> Exception:
    return NameTaken("the name is taken by another run test") if clash.constraint_name == NAME_CONSTRAINT else clash
