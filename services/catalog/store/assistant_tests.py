"""Assistant tests, and the suites that they form."""

from typing import Any
from uuid import UUID

import asyncpg

from services.catalog.entities.assistant_tests import AssistantTest, Criterion, Plan, Suite, TestFilter
from services.catalog.store.table import Table
from shared.errors import NotFound
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql

KIND = "assistant test"
SUITE_KIND = "test suite"


def _test(row: asyncpg.Record) -> AssistantTest:
    plan = Plan(
        row["name"],
        row["agent_id"],
        row["instructions"],
        tuple(Criterion(one["name"], one["criteria"]) for one in row["rubric"]),
        row["description"],
        row["channel"],
        row["max_duration_seconds"],
        row["suite"],
        row["schedule"],
    )
    return AssistantTest(row["id"], row["workspace_id"], plan, row["schedule_revision"], row["created_at"], row["updated_at"])


TESTS = Table(
    KIND,
    "assistant_tests",
    """
    workspace_id, id, name, agent_id, instructions, rubric, description, channel, max_duration_seconds, suite, schedule,
    schedule_revision, created_at, updated_at
    """,
    _test,
)
get, lock = TESTS.get, TESTS.lock


async def insert(sql: Sql, made: AssistantTest) -> None:
    """Adds a test."""
    await sql.execute(
        """
        INSERT INTO assistant_tests (workspace_id, id, name, agent_id, instructions, rubric, description, channel,
                                     max_duration_seconds, suite, schedule, schedule_revision, updated_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """,
        *_columns(made),
        made.created_at,
    )


async def update(sql: Sql, changed: AssistantTest) -> None:
    """Writes a test back."""
    await sql.execute(
        """
        UPDATE assistant_tests SET name = $3, agent_id = $4, instructions = $5, rubric = $6, description = $7, channel = $8,
                                   max_duration_seconds = $9, suite = $10, schedule = $11, schedule_revision = $12, updated_at = $13
        WHERE workspace_id = $1 AND id = $2
        """,
        *_columns(changed),
    )


async def delete(sql: Sql, workspace: UUID, test_id: UUID) -> None:
    """Removes a test."""
    await sql.execute("DELETE FROM assistant_tests WHERE workspace_id = $1 AND id = $2", workspace, test_id)


async def page(sql: Sql, workspace: UUID, wanted: TestFilter, request: PageRequest) -> Page[AssistantTest]:
    """Tests, newest first."""
    which = "($2::text IS NULL OR suite = $2) AND ($3::text IS NULL OR channel = $3) AND ($4::uuid IS NULL OR agent_id = $4)"
    return await TESTS.page(sql, workspace, request, which, wanted.suite, wanted.channel, wanted.agent_id, newest_first=True)


async def suite_names(sql: Sql, workspace: UUID) -> list[str]:
    """The suites that have a test, by name."""
    rows = await sql.fetch(
        "SELECT DISTINCT suite FROM assistant_tests WHERE workspace_id = $1 AND suite IS NOT NULL ORDER BY suite", workspace
    )
    return [row["suite"] for row in rows]


async def tests_of(sql: Sql, workspace: UUID, suite: str) -> list[UUID]:
    """The tests of a suite in order of creation. Raises NotFound if there is none."""
    rows = await sql.fetch("SELECT id FROM assistant_tests WHERE workspace_id = $1 AND suite = $2 ORDER BY id", workspace, suite)
    if not rows:
        raise NotFound(SUITE_KIND)
    return [row["id"] for row in rows]


async def has_tests(sql: Sql, workspace: UUID, suite: str) -> bool:
    """Whether a suite has a test."""
    found: bool = await sql.fetchval("SELECT EXISTS (SELECT FROM assistant_tests WHERE workspace_id = $1 AND suite = $2)", workspace, suite)
    return found


async def add_suite(sql: Sql, workspace: UUID, name: str) -> None:
    """Makes the row that a suite's schedule is kept in, unless it is there."""
    await sql.execute(
        "INSERT INTO suites (workspace_id, name, schedule_revision) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING", workspace, name
    )


async def lock_suite(sql: Sql, workspace: UUID, name: str) -> Suite:
    """A suite's schedule, which nobody else changes before the transaction ends; one that never had any has no row."""
    row = await sql.fetchrow(
        "SELECT schedule, schedule_revision FROM suites WHERE workspace_id = $1 AND name = $2 FOR UPDATE", workspace, name
    )
    return Suite(workspace, name, row["schedule"], row["schedule_revision"]) if row else Suite(workspace, name)


async def save_suite(sql: Sql, suite: Suite) -> None:
    """Writes a suite's schedule back."""
    await sql.execute(
        "UPDATE suites SET schedule = $3, schedule_revision = $4 WHERE workspace_id = $1 AND name = $2",
        suite.workspace_id,
        suite.name,
        suite.schedule,
        suite.schedule_revision,
    )


def _columns(of: AssistantTest) -> tuple[Any, ...]:
    plan = of.plan
    return (
        of.workspace_id,
        of.id,
        plan.name,
        plan.agent_id,
        plan.instructions,
        [{"name": criterion.name, "criteria": criterion.criteria} for criterion in plan.rubric],
        plan.description,
        plan.channel,
        plan.max_duration_seconds,
        plan.suite,
        plan.schedule,
        of.schedule_revision,
        of.updated_at,
    )
