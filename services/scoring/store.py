"""What scoring remembers: scores, judges' verdicts and slots, tries."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from services.scoring.entities import Score, Scored, Slot
from shared.errors import Unavailable
from shared.postgres import OUTAGES, Connection, Database
from shared.topics import CASES_EXECUTED

CACHE_DAYS = 30

log = logging.getLogger(__name__)


async def insert_scores(connection: Connection, workspace: UUID, scored: Sequence[Scored], now: datetime) -> None:
    """Writes scores; one that stands already stays."""
    await connection.execute(
        """
        INSERT INTO scores (run_id, case_id, repeat, evaluator, workspace_id, status, value, method, threshold, reason, error,
                            scored_by, warnings, details, scored_at)
        SELECT run_id, case_id, repeat, evaluator, $1, status, value, method, threshold, reason, error, scored_by,
               coalesce(string_to_array(warnings, E'\\x1f'), '{}'), details, $2
        FROM unnest($3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::text[], $8::float8[], $9::text[], $10::float8[],
                    $11::text[], $12::text[], $13::text[], $14::text[], $15::jsonb[])
          AS s (run_id, case_id, repeat, evaluator, status, value, method, threshold, reason, error, scored_by, warnings, details)
        ON CONFLICT DO NOTHING
        """,
        workspace,
        now,
        [each.run_id for each in scored],
        [each.case_id for each in scored],
        [each.repeat for each in scored],
        [each.evaluator for each in scored],
        [each.score.status for each in scored],
        [each.score.score for each in scored],
        [each.score.method for each in scored],
        [each.score.threshold for each in scored],
        [each.score.reason for each in scored],
        [each.score.error for each in scored],
        [each.score.scored_by for each in scored],
        ["\x1f".join(each.score.warnings) or None for each in scored],
        [_details(each.score) for each in scored],
    )


def _details(score: Score) -> Mapping[str, object] | None:
    if not score.evidence and score.provenance is None:
        return None
    return {"evidence": [asdict(span) for span in score.evidence], "provenance": score.provenance}


async def begin_tries(connection: Connection, seqs: Sequence[int]) -> dict[int, int]:
    """Counts one more try of each event, and returns how many there were of each."""
    rows = await connection.fetch(
        """
        INSERT INTO tries AS known (seq, tries) SELECT seq, 1 FROM unnest($1::bigint[]) AS seq ORDER BY seq
        ON CONFLICT (seq) DO UPDATE SET tries = known.tries + 1 RETURNING seq, tries
        """,
        list(seqs),
    )
    return {row["seq"]: row["tries"] for row in rows}


async def tries(connection: Connection, seqs: Sequence[int]) -> dict[int, int]:
    """How often these events were begun and never came back; absent: never."""
    rows = await connection.fetch("SELECT seq, tries FROM tries WHERE seq = ANY($1::bigint[]) AND tries > 0", list(seqs))
    return {row["seq"]: row["tries"] for row in rows}


async def take_back_tries(connection: Connection, seqs: Sequence[int]) -> None:
    """Uncounts tries that came back, if only with an outage."""
    await connection.execute("UPDATE tries SET tries = tries - 1 WHERE seq = ANY($1::bigint[])", seqs)


async def forget_tries(connection: Connection, seqs: Sequence[int]) -> None:
    """Forgets the tries of events that took effect."""
    await connection.execute("DELETE FROM tries WHERE seq = ANY($1::bigint[])", seqs)


async def remove_run(connection: Connection, run_id: UUID) -> None:
    """Marks a deleted run's scores for removal."""
    await connection.execute("INSERT INTO removals (run_id) VALUES ($1) ON CONFLICT DO NOTHING", run_id)


async def remove_slice(connection: Connection, rows: int) -> int:
    """Deletes at most so many scores of deleted runs, and returns how many."""
    # Run by run, and each from its front: a join that the planner may turn around reads all scores there are, a bitmap all of a run.
    await connection.execute("SET LOCAL enable_bitmapscan = off")
    status = await connection.execute(
        """
        DELETE FROM scores WHERE ctid = ANY(ARRAY(
          SELECT place FROM removals r
          CROSS JOIN LATERAL (SELECT s.ctid AS place FROM scores s WHERE s.run_id = r.run_id LIMIT $1) AS theirs LIMIT $1))
        """,
        rows,
    )
    return int(status.rpartition(" ")[2])


async def remove_outdated(connection: Connection, rows: int) -> None:
    """Deletes marks of runs that nothing is left of, at most so many old verdicts, and tries of events that took effect elsewhere."""
    # A mark stays for a day: scores of a run may still come when it is gone.
    await connection.execute(
        """
        DELETE FROM removals WHERE deleted_at < now() - interval '1 day'
          AND NOT EXISTS (SELECT FROM scores WHERE scores.run_id = removals.run_id)
        """
    )
    await connection.execute(
        f"""
        DELETE FROM judge_cache WHERE key IN (
          SELECT key FROM judge_cache WHERE created_at < now() - interval '{CACHE_DAYS} days' LIMIT $1)
        """,  # noqa: S608 a constant
        rows,
    )
    await connection.execute(
        "DELETE FROM tries WHERE seq <= (SELECT watermark FROM inbox_watermarks WHERE topic = $1)", CASES_EXECUTED.name
    )


async def beat(connection: Connection, process: UUID, lease: timedelta) -> None:
    """Joins, or extends the lease of, a scoring process; removes those that don't live."""
    await connection.execute(
        """
        INSERT INTO judging_processes (id, lease_until) VALUES ($1, now() + $2::interval)
        ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until
        """,
        process,
        lease,
    )
    await connection.execute("DELETE FROM judging_processes WHERE lease_until < now()")


async def leave(connection: Connection, process: UUID) -> None:
    """Frees a process's share at once."""
    await connection.execute("DELETE FROM judging_processes WHERE id = $1", process)


async def take_slot(connection: Connection, endpoint: tuple[str, int], process: UUID, held: Collection[int]) -> Slot | None:
    """A free slot of an endpoint, given as (key, slots in all); None where there is none, where this process has its share, or
    where its lease ran out. `held` are the slots that it holds indeed, whatever their rows say: none of them is taken twice.
    """
    row = await connection.fetchrow(
        """
        WITH live AS (
          SELECT id FROM judging_processes WHERE lease_until >= now()
        )
        INSERT INTO judge_slots AS taken (endpoint, slot, holder)
        SELECT $1, slot, $3 FROM generate_series(1, $2::int) AS slot
        WHERE slot <> ALL($4::int[]) AND EXISTS (SELECT FROM live WHERE id = $3)
          AND slot NOT IN (SELECT s.slot FROM judge_slots s JOIN live ON live.id = s.holder WHERE s.endpoint = $1 AND s.holder <> $3)
          AND cardinality($4::int[]) < ceil($2::float8 / (SELECT count(*) FROM live))
        ORDER BY random() LIMIT 1
        ON CONFLICT (endpoint, slot) DO UPDATE SET holder = excluded.holder
          WHERE taken.holder = $3 OR NOT EXISTS (SELECT FROM judging_processes p WHERE p.id = taken.holder AND p.lease_until >= now())
        RETURNING slot AS number, xmin::text AS taken_by
        """,
        *endpoint,
        process,
        list(held),
    )
    return Slot(**dict(row)) if row else None


async def slots_of(connection: Connection, endpoint: str, process: UUID) -> list[Slot]:
    """The slots of an endpoint that are a process's by their rows."""
    rows = await connection.fetch(
        "SELECT slot AS number, xmin::text AS taken_by FROM judge_slots WHERE endpoint = $1 AND holder = $2", endpoint, process
    )
    return [Slot(**dict(row)) for row in rows]


async def free_slot(connection: Connection, endpoint: str, slot: Slot, process: UUID) -> None:
    """Frees a slot, unless it was taken again by now, by another process or by this one."""
    await connection.execute(
        "DELETE FROM judge_slots WHERE endpoint = $1 AND slot = $2 AND holder = $3 AND xmin::text = $4",
        endpoint,
        slot.number,
        process,
        slot.taken_by,
    )


async def pace(connection: Connection, endpoint: str, apart: timedelta) -> float:
    """Seconds until the next call to an endpoint may begin, calls being so far apart; it is taken by this."""
    seconds: float = await connection.fetchval(
        """
        INSERT INTO judge_paces AS known (endpoint, next_call_at) VALUES ($1, clock_timestamp() + $2::interval)
        ON CONFLICT (endpoint) DO UPDATE SET next_call_at = greatest(known.next_call_at, clock_timestamp()) + $2::interval
        RETURNING greatest(0, extract(epoch FROM next_call_at - $2::interval - clock_timestamp()))::float8
        """,
        endpoint,
        apart,
    )
    return seconds


class JudgeCache:
    """Verdicts in Postgres, for services.scoring.judge.Judge. It is only a cache: without it the judge is asked again, and no case
    gets an error for want of it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str) -> Mapping[str, object] | None:
        """The value put under the key, if any."""
        try:
            async with self._database.connection() as connection:
                found: Mapping[str, object] | None = await connection.fetchval("SELECT verdict FROM judge_cache WHERE key = $1", key)
                return found
        except (Unavailable, asyncpg.PostgresError, *OUTAGES) as outage:
            log.warning("the judge cache can't be read", extra={"fault": repr(outage)[:300]})
            return None

    async def put(self, key: str, value: Mapping[str, object]) -> None:
        """Keeps the value, if Postgres can."""
        try:
            async with self._database.connection() as connection:
                await connection.execute("INSERT INTO judge_cache (key, verdict) VALUES ($1, $2) ON CONFLICT DO NOTHING", key, dict(value))
        except (Unavailable, asyncpg.PostgresError, *OUTAGES) as outage:
            # Also a verdict that JSON in Postgres can't hold, such as one with U+0000.
            log.warning("a verdict isn't kept", extra={"fault": repr(outage)[:300]})
