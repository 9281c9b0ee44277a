"""Test cases: rows with a range of their set's revisions.

Whoever changes cases has called `test_sets.next_revision` in the same transaction, and so holds the set's lock.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.catalog.entities.files import own_file_id
from services.catalog.entities.queries import CaseFilter, CaseQuery
from services.catalog.entities.test_cases import Content, TestCase
from shared.errors import NotFound
from shared.postgres import Connection as Sql

KIND = "test case"
SORTED_BY = {
    "question": "lower(question)",
    "expected_response": "lower(expected_response)",
    "test_method": "test_method",
    "order": "position",
}
BATCH_CASES = 500
BATCH_BYTES = 1_000_000


async def insert(sql: Sql, cases: Sequence[TestCase], revision: int) -> None:
    """Adds rows that are current from this revision on."""
    await sql.copy_records_to_table(
        "test_cases",
        records=[_record(case, revision) for case in cases],
        columns=(
            "workspace_id",
            "test_set_id",
            "id",
            "from_rev",
            "question",
            "expected_response",
            "test_method",
            "passing_score",
            "keywords",
            "position",
            "file_url",
            "file_mime_type",
            "file_id",
            "created_at",
            "updated_at",
        ),
    )


async def close(sql: Sql, case: TestCase, revision: int) -> None:
    """Ends the case's current row: this revision doesn't hold it any more."""
    await sql.execute(
        """
        UPDATE test_cases SET until_rev = $4, closed_at = now()
        WHERE workspace_id = $1 AND test_set_id = $2 AND id = $3 AND until_rev IS NULL
        """,
        case.workspace_id,
        case.test_set_id,
        case.id,
        revision,
    )


async def get(sql: Sql, workspace: UUID, set_id: UUID, case_id: UUID) -> TestCase:
    """One case as it is now. Raises NotFound."""
    row = await sql.fetchrow(
        """
        SELECT workspace_id, test_set_id, id, question, expected_response, test_method, passing_score, keywords, position,
               file_url, file_mime_type, created_at, updated_at
        FROM test_cases WHERE workspace_id = $1 AND test_set_id = $2 AND id = $3 AND until_rev IS NULL
        """,
        workspace,
        set_id,
        case_id,
    )
    if row is None:
        raise NotFound(KIND)
    return _case(row)


async def delete_all(sql: Sql, workspace: UUID, set_id: UUID) -> None:
    """Removes every row of a set."""
    await sql.execute("DELETE FROM test_cases WHERE workspace_id = $1 AND test_set_id = $2", workspace, set_id)


async def count(sql: Sql, workspace: UUID, set_id: UUID, wanted: CaseFilter) -> int:
    """Cases that the filter leaves."""
    total: int = await sql.fetchval(
        """
        SELECT count(*) FROM test_cases
        WHERE workspace_id = $1 AND test_set_id = $2 AND until_rev IS NULL
          AND (cardinality($3::text[]) = 0 OR test_method = ANY($3)) AND ($4 = '' OR strpos(lower(question), lower($4)) > 0)
        """,
        workspace,
        set_id,
        list(wanted.methods),
        wanted.question,
    )
    return total


async def page(sql: Sql, workspace: UUID, set_id: UUID, query: CaseQuery) -> list[TestCase]:
    """The cases of a page."""
    direction = "DESC" if query.sort.descending else "ASC"
    rows = await sql.fetch(
        f"""
        SELECT workspace_id, test_set_id, id, question, expected_response, test_method, passing_score, keywords, position,
               file_url, file_mime_type, created_at, updated_at
        FROM test_cases
        WHERE workspace_id = $1 AND test_set_id = $2 AND until_rev IS NULL
          AND (cardinality($3::text[]) = 0 OR test_method = ANY($3)) AND ($4 = '' OR strpos(lower(question), lower($4)) > 0)
        ORDER BY {SORTED_BY[query.sort.by]} {direction}, id LIMIT $5 OFFSET $6
        """,  # noqa: S608 an entry of a constant table
        workspace,
        set_id,
        list(query.filter.methods),
        query.filter.question,
        query.page.size,
        query.page.offset,
    )
    return [_case(row) for row in rows]


async def batch_at(sql: Sql, workspace: UUID, set_id: UUID, revision: int, after: tuple[int, UUID] | None) -> list[asyncpg.Record]:
    """Rows of a revision in order, behind (position, id): at most 500, and about 1 MB unless a single one is larger.

    Rows rather than entities: a run of 10,000 cases waits for this.
    """
    position, case_id = after or (-(2**31), UUID(int=0))
    return await sql.fetch(
        """
        SELECT id, position, question, expected_response, test_method, passing_score, keywords, file_url, file_mime_type, content
        FROM (
          SELECT id, position, question, expected_response, test_method, passing_score, keywords, file_url, file_mime_type, content,
                 row_number() OVER in_order AS place,
                 sum(octet_length(question) + octet_length(expected_response) + coalesce(pg_column_size(content), 0))
                   OVER in_order AS bytes
          FROM test_cases
          WHERE workspace_id = $1 AND test_set_id = $2 AND from_rev <= $3 AND (until_rev IS NULL OR until_rev > $3)
            AND (position, id) > ($4, $5)
          WINDOW in_order AS (ORDER BY position, id ROWS UNBOUNDED PRECEDING)
          ORDER BY position, id LIMIT $6
        ) AS batch
        WHERE place = 1 OR bytes <= $7
        ORDER BY position, id
        """,
        workspace,
        set_id,
        revision,
        position,
        case_id,
        BATCH_CASES,
        BATCH_BYTES,
    )


def _record(case: TestCase, revision: int) -> tuple[Any, ...]:
    content = case.content
    return (
        case.workspace_id,
        case.test_set_id,
        case.id,
        revision,
        content.question,
        content.expected_response,
        content.test_method,
        content.passing_score,
        list(content.keywords),
        content.order,
        content.file_url,
        content.file_mime_type,
        own_file_id(content.file_url) if content.file_url else None,
        case.created_at,
        case.updated_at,
    )


def _case(row: asyncpg.Record) -> TestCase:
    content = Content(
        row["question"],
        row["expected_response"],
        row["test_method"],
        row["passing_score"],
        tuple(row["keywords"]),
        row["position"],
        row["file_url"],
        row["file_mime_type"],
    )
    return TestCase(row["id"], row["workspace_id"], row["test_set_id"], content, row["created_at"], row["updated_at"])
