"""Rows of `runs`. Whatever is read for a caller leaves out what was deleted, whichever rows are still to be swept."""

from collections.abc import Sequence
from dataclasses import astuple
from uuid import UUID

import asyncpg

from services.reporting.entities.runs import Cases, Ending, Run, Subject, Tally
from shared.pages import Page, PageRequest
from shared.postgres import Connection

COLUMNS = """
  r.id, r.workspace_id, r.subject_id, r.target_id, r.state, r.triggered_by, r.total_cases, r.tags, r.created_at, r.started_at,
  r.completed_at, r.reason, r.passed, r.failed, r.errors, r.score_sum, r.score_count, r.last_seq, r.final_state, r.finished_at,
  r.expected_results, r.closed, r.family, r.group_key, r.evaluators, r.details, r.client_driven, r.scored_cases, r.answered_cases
"""
KEPT = "NOT EXISTS (SELECT FROM tombstones AS t WHERE t.workspace_id = r.workspace_id AND t.id IN (r.id, r.subject_id))"


async def find(connection: Connection, workspace: UUID, run_id: UUID) -> Run | None:
    """The run, or None if it isn't projected or was deleted."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM runs AS r WHERE r.workspace_id = $1 AND r.id = $2 AND {KEPT}",  # noqa: S608 constants of this module
        workspace,
        run_id,
    )
    return None if row is None else run_of(row)


async def find_all(connection: Connection, workspace: UUID, run_ids: Sequence[UUID]) -> dict[UUID, Run]:
    """Those of the runs that are projected and weren't deleted."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM runs AS r WHERE r.workspace_id = $1 AND r.id = ANY($2::uuid[]) AND {KEPT}",  # noqa: S608 the same
        workspace,
        list(run_ids),
    )
    return {row["id"]: run_of(row) for row in rows}


async def unknown(connection: Connection, run_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the runs, of whatever workspace, that are neither projected nor deleted."""
    rows = await connection.fetch(
        """
        SELECT wanted FROM unnest($1::uuid[]) AS wanted
        WHERE NOT EXISTS (SELECT FROM runs AS r WHERE r.id = wanted) AND NOT EXISTS (SELECT FROM tombstones AS t WHERE t.id = wanted)
        """,
        list(run_ids),
    )
    return {row["wanted"] for row in rows}


async def closed(connection: Connection, workspace: UUID, run_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the runs whose every result can be read."""
    rows = await connection.fetch(
        f"SELECT r.id FROM runs AS r WHERE r.workspace_id = $1 AND r.id = ANY($2::uuid[]) AND r.closed AND {KEPT}",  # noqa: S608 the same
        workspace,
        list(run_ids),
    )
    return [row["id"] for row in rows]


async def lock(connection: Connection, run_ids: Sequence[UUID]) -> dict[UUID, Run]:
    """Locks runs of whatever workspace, in order of id, and returns those that weren't deleted."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM runs AS r WHERE r.id = ANY($1::uuid[]) AND {KEPT} ORDER BY r.id FOR UPDATE OF r",  # noqa: S608 the same
        list(run_ids),
    )
    return {row["id"]: run_of(row) for row in rows}


async def lock_told_final(connection: Connection, limit: int) -> list[Run]:
    """Locks some runs that ended and have not closed, passing over those that others hold."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM runs AS r
        WHERE r.final_state IS NOT NULL AND NOT r.closed AND r.passed + r.failed + r.errors >= r.expected_results AND {KEPT}
        ORDER BY r.id LIMIT $1 FOR UPDATE OF r SKIP LOCKED
        """,  # noqa: S608 the same
        limit,
    )
    return [run_of(row) for row in rows]


async def insert(connection: Connection, run: Run) -> None:
    """Writes a run that is heard of for the first time, and its event 1. Does nothing where it is known, or was deleted."""
    await connection.execute(
        """
        WITH fresh AS (
          INSERT INTO runs (id, workspace_id, subject_id, target_id, state, triggered_by, total_cases, tags, created_at, started_at,
                            family, group_key, evaluators, details, client_driven, last_seq)
          SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1
          WHERE NOT EXISTS (SELECT FROM tombstones AS t WHERE t.workspace_id = $2 AND t.id IN ($1, $3))
          ON CONFLICT (id) DO NOTHING
          RETURNING id, workspace_id
        )
        INSERT INTO run_events (run_id, seq, workspace_id, kind) SELECT id, 1, workspace_id, 'run.started' FROM fresh
        """,
        run.id,
        run.workspace_id,
        run.subject.id,
        run.subject.target_id,
        run.state,
        run.triggered_by,
        run.total_cases,
        list(run.tags),
        run.created_at,
        run.started_at,
        run.subject.family,
        run.subject.group_key,
        list(run.subject.evaluators),
        run.subject.details,
        run.subject.client_driven,
    )


async def save(connection: Connection, runs: Sequence[Run]) -> None:
    """Writes what can change of runs that the caller has locked."""
    if not runs:
        return
    await connection.execute(
        """
        UPDATE runs AS r
        SET state = n.state, started_at = n.started_at, completed_at = n.completed_at, reason = n.reason, passed = n.passed,
            failed = n.failed, errors = n.errors, score_sum = n.score_sum, score_count = n.score_count, last_seq = n.last_seq,
            final_state = n.final_state, finished_at = n.finished_at, expected_results = n.expected_results, closed = n.closed,
            scored_cases = n.scored_cases, answered_cases = n.answered_cases
        FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::integer[], $7::integer[],
                    $8::integer[], $9::numeric[], $10::integer[], $11::bigint[], $12::text[], $13::timestamptz[], $14::integer[],
                    $15::boolean[], $16::integer[], $17::integer[])
          AS n (id, state, started_at, completed_at, reason, passed, failed, errors, score_sum, score_count, last_seq,
                final_state, finished_at, expected_results, closed, scored_cases, answered_cases)
        WHERE r.id = n.id
        """,
        *(list(column) for column in zip(*(_changeable(run) for run in runs), strict=True)),
    )


def _changeable(run: Run) -> tuple[object, ...]:
    ending = run.ending
    told = (ending.state, ending.at, ending.expected_results) if ending else (None, None, None)
    reason = ending.reason if ending else run.reason
    return (
        run.id,
        run.state,
        run.started_at,
        run.completed_at,
        reason,
        *astuple(run.tally),
        run.last_seq,
        *told,
        run.closed,
        *astuple(run.cases),
    )


async def page_of_test_set(connection: Connection, workspace: UUID, subject_id: UUID, request: PageRequest) -> Page[Run]:
    """A test set's runs: those not yet started on top, then the newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM runs AS r WHERE r.workspace_id = $1 AND r.subject_id = $2 AND r.family = 'test_set' AND {KEPT}
        ORDER BY r.waiting DESC, r.sorted_at DESC, r.id DESC OFFSET $3 LIMIT $4
        """,  # noqa: S608 the same
        workspace,
        subject_id,
        request.offset,
        request.size,
    )
    total = await connection.fetchval(
        f"SELECT count(*) FROM runs AS r WHERE r.workspace_id = $1 AND r.subject_id = $2 AND r.family = 'test_set' AND {KEPT}",  # noqa: S608 the same
        workspace,
        subject_id,
    )
    return Page([run_of(row) for row in rows], total, request)


async def positions(connection: Connection, run_ids: Sequence[UUID]) -> dict[UUID, tuple[int, str]]:
    """The newest event's number and the state of runs of whatever workspace: what tells whether a stream has to look."""
    rows = await connection.fetch(
        f"SELECT r.id, r.last_seq, r.state FROM runs AS r WHERE r.id = ANY($1::uuid[]) AND {KEPT}",  # noqa: S608 the same
        list(run_ids),
    )
    return {row["id"]: (row["last_seq"], row["state"]) for row in rows}


def run_of(row: asyncpg.Record) -> Run:
    """The run in a row of COLUMNS."""
    ending = None
    if row["final_state"] is not None:
        ending = Ending(row["final_state"], row["finished_at"], row["expected_results"], row["reason"])
    return Run(
        id=row["id"],
        workspace_id=row["workspace_id"],
        subject=_subject(row),
        state=row["state"],
        triggered_by=row["triggered_by"],
        total_cases=row["total_cases"],
        tags=tuple(row["tags"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        reason=row["reason"],
        tally=Tally(row["passed"], row["failed"], row["errors"], row["score_sum"], row["score_count"]),
        last_seq=row["last_seq"],
        ending=ending,
        closed=row["closed"],
        cases=Cases(row["scored_cases"], row["answered_cases"]),
    )


def _subject(row: asyncpg.Record) -> Subject:
    return Subject(
        id=row["subject_id"],
        target_id=row["target_id"],
        family=row["family"],
        group_key=row["group_key"],
        evaluators=tuple(row["evaluators"]),
        details=row["details"],
        client_driven=row["client_driven"],
    )
