"""Runs in Postgres."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from services.runner.entities import Run, Target
from shared.errors import NotFound
from shared.postgres import Connection

COLUMNS = """id, workspace_id, subject_id, target_id, revision, mode, language, target, state, triggered_by, tags,
 case_count, repeats, total_cases, slots, created_at, started_at, completed_at, reason, next_ord, next_ticket,
 family, group_key, evaluators, simulator, details"""


def _run(row: asyncpg.Record) -> Run:
    values: dict[str, Any] = dict(row)
    simulator = values["simulator"]
    return Run(
        **{
            **values,
            "tags": tuple(values["tags"]),
            "target": _target(values["target"]),
            "evaluators": tuple(values["evaluators"]),
            "simulator": None if simulator is None else _target(simulator),
        }
    )


def _target(stored: dict[str, Any]) -> Target:
    return Target(**{**stored, "connection_id": UUID(stored["connection_id"])})


def _stored(target: Target) -> dict[str, Any]:
    return asdict(target) | {"connection_id": str(target.connection_id)}


async def insert(connection: Connection, run: Run) -> None:
    """Remembers a new run."""
    await connection.execute(
        """
        INSERT INTO runs (id, workspace_id, subject_id, target_id, revision, mode, language, target, connection_id, state,
                          triggered_by, tags, case_count, repeats, total_cases, slots, created_at, touched_at, started_at,
                          family, group_key, evaluators, simulator, details, client_driven)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17, $18, $19, $20, $21, $22, $23, $24)
        """,
        run.id,
        run.workspace_id,
        run.subject_id,
        run.target_id,
        run.revision,
        run.mode,
        run.language,
        _stored(run.target),
        None if run.client_driven else run.target.connection_id,
        run.state,
        run.triggered_by,
        list(run.tags),
        run.case_count,
        run.repeats,
        run.total_cases,
        run.slots,
        run.created_at,
        run.started_at,
        run.family,
        run.group_key,
        list(run.evaluators),
        None if run.simulator is None else _stored(run.simulator),
        dict(run.details),
        run.client_driven,
    )


async def get(connection: Connection, workspace: UUID, run_id: UUID) -> Run:
    """Raises NotFound."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM runs WHERE workspace_id = $1 AND id = $2",  # noqa: S608 constants
        workspace,
        run_id,
    )
    if row is None:
        raise NotFound("run")
    return _run(row)


async def lock(connection: Connection, workspace: UUID, run_id: UUID) -> Run:
    """The run, locked until the transaction ends. Raises NotFound."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM runs WHERE workspace_id = $1 AND id = $2 FOR UPDATE",  # noqa: S608 constants
        workspace,
        run_id,
    )
    if row is None:
        raise NotFound("run")
    return _run(row)


async def lock_running(connection: Connection, run_id: UUID) -> Run | None:
    """The run, locked, if it is running; for the runner's own work, which knows the run by a ticket."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM runs WHERE id = $1 AND state = 'running' FOR UPDATE",  # noqa: S608 constants
        run_id,
    )
    return None if row is None else _run(row)


async def find(connection: Connection, run_id: UUID) -> Run | None:
    """The run, for the runner's own work."""
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM runs WHERE id = $1", run_id)  # noqa: S608 constants
    return None if row is None else _run(row)


async def lock_ended(connection: Connection, age: timedelta, most: int) -> list[Run]:
    """Runs that ended longer ago than this, the oldest first, locked; those that others hold are passed over."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM runs WHERE completed_at < now() - $1::interval
        ORDER BY completed_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,  # noqa: S608 constants
        age,
        most,
    )
    return [_run(row) for row in rows]


async def of_subject(connection: Connection, workspace: UUID, subject_id: UUID) -> list[Run]:
    """All runs of a test set, newest first."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM runs WHERE workspace_id = $1 AND subject_id = $2 ORDER BY id DESC",  # noqa: S608 constants
        workspace,
        subject_id,
    )
    return [_run(row) for row in rows]


async def open_of_subject(connection: Connection, workspace: UUID, subject_id: UUID) -> list[Run]:
    """The runs of a test set that aren't final, newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM runs WHERE workspace_id = $1 AND subject_id = $2
          AND state IN ('pending', 'starting', 'running', 'cancelling') ORDER BY id DESC LIMIT 1000
        """,  # noqa: S608 constants
        workspace,
        subject_id,
    )
    return [_run(row) for row in rows]


async def lock_subject(connection: Connection, subject_id: UUID) -> None:
    """Until the transaction ends nobody else passes here for the same subject."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 2))", str(subject_id))


async def open_of_group(connection: Connection, workspace: UUID, family: str, group_key: str) -> list[Run]:
    """The runs of a group that aren't final, newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM runs WHERE workspace_id = $1 AND family = $2 AND group_key = $3
          AND state IN ('pending', 'starting', 'running', 'cancelling') ORDER BY id DESC LIMIT 1000
        """,  # noqa: S608 constants
        workspace,
        family,
        group_key,
    )
    return [_run(row) for row in rows]


async def save_state(connection: Connection, run: Run) -> None:
    """Writes the run's state; the row is locked by the caller."""
    await connection.execute("UPDATE runs SET state = $2 WHERE id = $1", run.id, run.state)


async def begin_freeze(connection: Connection, run_id: UUID) -> Run | None:
    """Makes a pending or starting run `starting`, and returns it; None if it is past that."""
    row = await connection.fetchrow(
        f"""
        UPDATE runs SET state = 'starting', touched_at = now()
        WHERE id = $1 AND state IN ('pending', 'starting') RETURNING {COLUMNS}
        """,  # noqa: S608 constants
        run_id,
    )
    return None if row is None else _run(row)


async def try_freeze_lock(connection: Connection, run_id: UUID) -> bool:
    """Whether this transaction is the one that freezes. An advisory lock: a cancel must not wait for a million cases."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtextextended($1::text, 1))", str(run_id)))


async def set_running(connection: Connection, run_id: UUID) -> bool:
    """Whether the run went from starting to running; not if it was cancelled or deleted meanwhile."""
    return bool(
        await connection.fetchval(
            "UPDATE runs SET state = 'running', started_at = now() WHERE id = $1 AND state = 'starting' RETURNING true", run_id
        )
    )


async def freeze_failed(connection: Connection, run_id: UUID) -> int:
    """Counts a refusal while freezing, and returns how many there were."""
    return (
        await connection.fetchval("UPDATE runs SET freeze_failures = freeze_failures + 1 WHERE id = $1 RETURNING freeze_failures", run_id)
        or 0
    )


async def set_error(connection: Connection, run_id: UUID, reason: str) -> Run | None:
    """Ends a run that can't be executed; None if it is past that."""
    row = await connection.fetchrow(
        f"""
        UPDATE runs SET state = 'error', reason = $2, completed_at = now()
        WHERE id = $1 AND state IN ('pending', 'starting') RETURNING {COLUMNS}
        """,  # noqa: S608 constants
        run_id,
        reason,
    )
    return None if row is None else _run(row)


async def complete(connection: Connection, run_id: UUID) -> Run | None:
    """Ends a run whose every case is final; None if one is open, or if it ended before."""
    row = await connection.fetchrow(
        f"""
        UPDATE runs SET state = CASE state WHEN 'cancelling' THEN 'cancelled' ELSE 'completed' END, completed_at = now()
        WHERE id = $1 AND state IN ('running', 'cancelling')
          AND NOT EXISTS (SELECT FROM run_cases WHERE run_id = $1 AND state NOT IN ('scored', 'cancelled'))
        RETURNING {COLUMNS}
        """,  # noqa: S608 constants
        run_id,
    )
    return None if row is None else _run(row)


async def advance(connection: Connection, run_id: UUID, next_ord: int, next_ticket: int) -> None:
    """Moves the ticket window; the row is locked by the caller."""
    await connection.execute("UPDATE runs SET next_ord = $2, next_ticket = $3 WHERE id = $1", run_id, next_ord, next_ticket)


async def delete(connection: Connection, run_ids: Sequence[UUID]) -> None:
    """Deletes runs, and leaves their cases to be removed in slices."""
    await connection.execute("DELETE FROM runs WHERE id = ANY($1::uuid[])", run_ids)
    await connection.execute("DELETE FROM tickets WHERE run_id = ANY($1::uuid[])", run_ids)
    await connection.execute("DELETE FROM calls WHERE run_id = ANY($1::uuid[])", run_ids)
    await connection.execute("INSERT INTO removals (run_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", run_ids)


async def unfrozen(connection: Connection, silent: timedelta) -> list[UUID]:
    """Runs whose freezing began, or should have begun, longer ago than this."""
    rows = await connection.fetch(
        "SELECT id FROM runs WHERE state IN ('pending', 'starting') AND touched_at < now() - $1::interval LIMIT 20", silent
    )
    return [row["id"] for row in rows]


async def in_state(connection: Connection, *states: str) -> list[UUID]:
    """Runs in one of these open states."""
    rows = await connection.fetch("SELECT id FROM runs WHERE state = ANY($1::text[]) ORDER BY id", list(states))
    return [row["id"] for row in rows]
