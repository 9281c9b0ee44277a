"""Calls of chat mode in Postgres."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from services.runner.chats import ChatCall, Step
from services.runner.entities import Run
from shared.errors import NotFound
from shared.ids import new_id
from shared.postgres import Connection

COLUMNS = "c.id, c.run_id, c.ord, c.case_id, c.scenario_id, c.state, c.turn, c.transcript, c.agent_errors, c.milliseconds, c.ended_reason, c.began_at"


def _call(row: asyncpg.Record) -> ChatCall:
    values: dict[str, Any] = dict(row)
    return ChatCall(**values)


async def insert(connection: Connection, run: Run) -> None:
    """A call for each case of a run that was begun in this transaction."""
    await connection.execute(
        """
        INSERT INTO calls (id, workspace_id, run_id, ord, case_id, scenario_id)
        SELECT made.id, $2, c.run_id, c.ord, c.case_id, coalesce(c.plan->'content'->>'scenario_id', c.case_id::text)
        FROM run_cases c JOIN unnest($3::uuid[]) WITH ORDINALITY AS made (id, number) ON made.number = c.ord + 1
        WHERE c.run_id = $1
        """,
        run.id,
        run.workspace_id,
        [new_id() for _ in range(run.total_cases)],
    )


async def take(connection: Connection, run_id: UUID, most: int) -> list[ChatCall]:
    """Hands out calls that wait, in order. Those that another asker is taking right now are skipped."""
    rows = await connection.fetch(
        f"""
        UPDATE calls c SET state = 'taken', touched_at = now()
        WHERE c.id IN (SELECT id FROM calls WHERE run_id = $1 AND state = 'waiting' ORDER BY ord LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING {COLUMNS}
        """,  # noqa: S608 constants
        run_id,
        most,
    )
    return sorted(map(_call, rows), key=lambda call: call.ord)


async def waits(connection: Connection, run_id: UUID) -> bool:
    """Whether a call is still to be handed out."""
    return bool(await connection.fetchval("SELECT true FROM calls WHERE run_id = $1 AND state = 'waiting' LIMIT 1", run_id))


async def get(connection: Connection, workspace: UUID, call_id: UUID) -> ChatCall:
    """Raises NotFound."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM calls c WHERE c.workspace_id = $1 AND c.id = $2",  # noqa: S608 constants
        workspace,
        call_id,
    )
    if row is None:
        raise NotFound("call execution")
    return _call(row)


async def plan(connection: Connection, call: ChatCall) -> dict[str, Any] | None:
    """How the simulated user of a call behaves, and what else its case holds."""
    found: dict[str, Any] | None = await connection.fetchval(
        "SELECT plan FROM run_cases WHERE run_id = $1 AND ord = $2", call.run_id, call.ord
    )
    return found


async def save(connection: Connection, workspace: UUID, step: Step, now: datetime | None) -> bool:
    """Whether a call went on by this step: not if another message of it was answered meanwhile, or if it has ended.

    `now` is None for a step that isn't the client's: nobody has touched the call by it.
    """
    call = step.call
    return bool(
        await connection.fetchval(
            """
            UPDATE calls SET state = $4, turn = turn + 1, transcript = $5, agent_errors = $6, milliseconds = $7, ended_reason = $8,
                   began_at = coalesce(began_at, $9::timestamptz),
                   touched_at = CASE WHEN $9::timestamptz IS NULL THEN touched_at ELSE now() END
            WHERE workspace_id = $1 AND id = $2 AND turn = $3 AND state IN ('waiting', 'taken', 'talking')
            RETURNING true
            """,
            workspace,
            call.id,
            call.turn,
            step.state,
            step.dialogue.transcript,
            step.dialogue.agent_errors,
            step.milliseconds,
            step.reason,
            now,
        )
    )


async def abandoned(connection: Connection, idle: timedelta, most: int, only: UUID | None = None) -> list[tuple[UUID, ChatCall]]:
    """(workspace, call) of calls that nobody goes on with, or of this one alone; locked.

    A conversation is left once its client is silent; calls that wait for their turn, only once no call of the run goes on.
    """
    rows: Sequence[asyncpg.Record] = await connection.fetch(
        f"""
        SELECT c.workspace_id, {COLUMNS} FROM calls c
        WHERE c.state IN ('waiting', 'taken', 'talking') AND c.touched_at < now() - $1::interval
          AND (c.state = 'talking' OR NOT EXISTS (
            SELECT FROM calls other WHERE other.run_id = c.run_id AND other.touched_at >= now() - $1::interval))
          AND ($3::uuid IS NULL OR c.id = $3)
        ORDER BY random() LIMIT $2 FOR UPDATE SKIP LOCKED
        """,  # noqa: S608 constants
        idle,
        most,
        only,
    )
    return [(row["workspace_id"], _call_of(row)) for row in rows]


def _call_of(row: asyncpg.Record) -> ChatCall:
    return ChatCall(**{name: value for name, value in row.items() if name != "workspace_id"})
