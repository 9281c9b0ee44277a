"""What runs of all families but that of test sets have beside results: records of their cases, counts by evaluator."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.reporting.entities.results import Added, CaseRecord
from services.reporting.entities.runs import Cases, Tally
from shared.postgres import Connection


async def record(connection: Connection, records: Sequence[CaseRecord]) -> dict[UUID, Cases]:
    """Writes what is known of cases that are heard of for the first time, and counts them by run."""
    rows = await connection.fetch(
        """
        WITH fresh AS (
          INSERT INTO case_records (run_id, ord, workspace_id, answered, record)
          SELECT run_id, ord, workspace_id, answered, record::jsonb
          FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::boolean[], $5::text[])
            AS heard (run_id, ord, workspace_id, answered, record)
          ON CONFLICT (run_id, ord) DO NOTHING
          RETURNING run_id, answered
        )
        SELECT run_id, count(*) AS scored, count(*) FILTER (WHERE answered) AS answered FROM fresh GROUP BY run_id
        """,
        *(list(column) for column in zip(*records, strict=True)),
    )
    return {row["run_id"]: Cases(row["scored"], row["answered"]) for row in rows}


async def count(connection: Connection, added: Sequence[Added]) -> None:
    """Adds to what evaluators found; the caller holds the locks of the runs."""
    await connection.execute(
        """
        INSERT INTO evaluations AS known (workspace_id, run_id, evaluator, passed, failed, errors, score_sum, score_count)
        SELECT workspace_id, run_id, evaluator, sum(passed), sum(failed), sum(errors), sum(score_sum), sum(score_count)
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::integer[], $6::integer[], $7::numeric[], $8::integer[])
          AS heard (workspace_id, run_id, evaluator, passed, failed, errors, score_sum, score_count)
        GROUP BY workspace_id, run_id, evaluator
        ON CONFLICT (run_id, evaluator) DO UPDATE
        SET passed = known.passed + excluded.passed, failed = known.failed + excluded.failed, errors = known.errors + excluded.errors,
            score_sum = known.score_sum + excluded.score_sum, score_count = known.score_count + excluded.score_count
        """,
        [part.workspace_id for part in added],
        [part.run_id for part in added],
        [part.evaluator for part in added],
        [part.tally.passed for part in added],
        [part.tally.failed for part in added],
        [part.tally.errors for part in added],
        [part.tally.score_sum for part in added],
        [part.tally.score_count for part in added],
    )


async def evaluations(connection: Connection, workspace: UUID, run_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, Tally]]:
    """What each evaluator found, by run and in order of name; a run without results has no entry."""
    rows = await connection.fetch(
        """
        SELECT run_id, evaluator, passed, failed, errors, score_sum, score_count FROM evaluations
        WHERE workspace_id = $1 AND run_id = ANY($2::uuid[]) ORDER BY run_id, evaluator
        """,
        workspace,
        list(run_ids),
    )
    found: dict[UUID, dict[str, Tally]] = {}
    for row in rows:
        found.setdefault(row["run_id"], {})[row["evaluator"]] = Tally(*row[2:])
    return found
