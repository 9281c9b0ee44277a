"""Runs of all families but that of test sets, newest first, and what their families show of them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.reporting.entities.families import Conversation, Finding, Generation, Listing
from services.reporting.entities.runs import PROMPT_TEST_CASE, Run
from services.reporting.store.runs import COLUMNS, KEPT, run_of
from shared.pages import Page, PageRequest
from shared.postgres import Connection

# As entities/families.py has it; here too, so that pages of one status are found without reading every run.
TEST_STATUS = """
  CASE WHEN NOT r.closed THEN CASE r.state WHEN 'cancelling' THEN 'running' ELSE r.state END
       WHEN r.state <> 'completed' OR r.errors > 0 OR r.passed + r.failed = 0 THEN 'error'
       WHEN r.failed > 0 THEN 'failed' ELSE 'passed' END
"""
GENERATIONS_AT_ONCE = 100


async def page(connection: Connection, workspace: UUID, wanted: Listing, request: PageRequest) -> Page[Run]:
    """A page of runs, newest first."""
    where, values = _where(workspace, wanted)
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM runs AS r WHERE {where} ORDER BY r.id DESC OFFSET ${len(values) + 1} LIMIT ${len(values) + 2}",  # noqa: S608 constants of this module
        *values,
        request.offset,
        request.size,
    )
    total = await connection.fetchval(f"SELECT count(*) FROM runs AS r WHERE {where}", *values)  # noqa: S608 the same
    return Page([run_of(row) for row in rows], total, request)


def _where(workspace: UUID, wanted: Listing) -> tuple[str, list[object]]:
    # The comparison with test_set is what lets the planner use the partial indexes.
    conditions, values = [KEPT, "r.family <> 'test_set'", "r.workspace_id = $1", "r.family = $2"], [workspace, wanted.family]
    optional = (
        ("r.subject_id", wanted.subject_id),
        ("r.group_key", wanted.group_key),
        (f"({TEST_STATUS})", wanted.test_status),
        ("r.details->>'test_suite_run_id'", wanted.test_suite_run_id),
    )
    for name, value in optional:
        if value is not None:
            values.append(value)
            conditions.append(f"{name} = ${len(values)}")
    return " AND ".join(conditions), values


async def newest(connection: Connection, workspace: UUID, family: str, subject_ids: Sequence[UUID]) -> list[Run]:
    """The newest run of each of these subjects that has one."""
    rows = await connection.fetch(
        f"""
        SELECT DISTINCT ON (r.subject_id) {COLUMNS} FROM runs AS r
        WHERE r.workspace_id = $1 AND r.family = $2 AND r.family <> 'test_set' AND r.subject_id = ANY($3::uuid[]) AND {KEPT}
        ORDER BY r.subject_id, r.id DESC
        """,  # noqa: S608 the same
        workspace,
        family,
        list(subject_ids),
    )
    return [run_of(row) for row in rows]


async def conversations(connection: Connection, workspace: UUID, run_ids: Sequence[UUID]) -> Mapping[UUID, Conversation]:
    """What is known of the first conversation of each run, and what was found in it."""
    records = await connection.fetch(
        "SELECT run_id, record FROM case_records WHERE workspace_id = $1 AND run_id = ANY($2::uuid[]) AND ord = 0", workspace, list(run_ids)
    )
    rows = await connection.fetch(
        """
        SELECT run_id, evaluator, status, reasoning, error FROM results
        WHERE workspace_id = $1 AND run_id = ANY($2::uuid[]) AND ord = 0 ORDER BY run_id, evaluator
        """,
        workspace,
        list(run_ids),
    )
    findings: dict[UUID, list[Finding]] = {}
    for row in rows:
        findings.setdefault(row["run_id"], []).append(Finding(*row[1:]))
    known = {row["run_id"]: row["record"] for row in records}
    return {run_id: Conversation(known.get(run_id, {}), findings.get(run_id, [])) for run_id in {*known, *findings}}


async def generations(
    connection: Connection, workspace: UUID, prompt_id: UUID, version_ids: Sequence[UUID], after: UUID
) -> Sequence[Generation]:
    """What versions of a prompt, or all of them, made of its test cases: oldest first, the next after a run."""
    rows = await connection.fetch(
        f"""
        SELECT r.id, r.subject_id, r.target_id, r.state, r.reason, r.created_at, r.completed_at, x.actual_response, x.error,
               x.execution_time_ms, CASE WHEN jsonb_typeof(c.record->'usage') = 'object' THEN c.record->'usage' END AS usage
        FROM runs AS r
        LEFT JOIN LATERAL (SELECT actual_response, error, execution_time_ms FROM results
                           WHERE workspace_id = $1 AND run_id = r.id AND ord = 0 ORDER BY evaluator LIMIT 1) AS x ON true
        LEFT JOIN case_records AS c ON c.workspace_id = $1 AND c.run_id = r.id AND c.ord = 0
        WHERE r.workspace_id = $1 AND r.family = '{PROMPT_TEST_CASE}' AND r.family <> 'test_set' AND r.group_key = $2 AND r.id > $3
          AND (cardinality($4::uuid[]) = 0 OR r.target_id = ANY($4::uuid[])) AND {KEPT}
        ORDER BY r.id LIMIT {GENERATIONS_AT_ONCE}
        """,  # noqa: S608 the same
        workspace,
        str(prompt_id),
        after,
        list(version_ids),
    )
    return [Generation(*row) for row in rows]
