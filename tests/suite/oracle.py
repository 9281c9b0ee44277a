"""The oracle: after any fault, once the dust has settled, each of these must find nothing.

Reads all schemas at once, as the role of ASSAY_DATABASE_URL, which no service may do.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from shared.topics import TOPICS

MINUTE = "interval '60 seconds'"
DAY = "interval '24 hours'"
OPEN = "('pending', 'starting', 'running', 'cancelling')"

# What must not be → a query that finds it. Deleted runs have no row in runner.runs, and so are left aside; of pruned ones the
# cases are gone, and their results are counted against what was expected. What tells of more than a day ago may be gone too.
QUERIES: Mapping[str, str] = {
    "run whose frozen cases are not the set's cases at its revision": f"""
        SELECT r.id FROM runner.runs r
        WHERE r.family = 'test_set' AND r.state IN ('running', 'completed') AND NOT r.cases_pruned AND r.created_at > now() - {DAY} AND EXISTS (
          SELECT FROM (
            SELECT id, (row_number() OVER (ORDER BY position, id) - 1)::int AS place FROM catalog.test_cases c
            WHERE c.test_set_id = r.subject_id AND c.from_rev <= r.revision AND (c.until_rev IS NULL OR c.until_rev > r.revision)
          ) AS wanted CROSS JOIN generate_series(1, r.repeats) AS times (number)
          FULL JOIN (SELECT * FROM runner.run_cases WHERE run_id = r.id) AS kept
            ON kept.ord = (times.number - 1) * r.case_count + wanted.place AND kept.case_id = wanted.id AND kept.repeat = times.number
          WHERE kept.ord IS NULL OR wanted.id IS NULL)""",
    "open or completed run without all of its cases": """
        SELECT r.id FROM runner.runs r LEFT JOIN runner.run_cases c ON c.run_id = r.id
        WHERE r.family <> 'test_set' AND r.state IN ('running', 'completed') AND NOT r.cases_pruned
        GROUP BY r.id, r.total_cases HAVING count(c.*) <> r.total_cases""",
    "completed run with other than one result for a case and evaluator": """
        SELECT r.id, c.ord, e.name, count(x.*) FROM reporting.runs r
        JOIN runner.run_cases c ON c.run_id = r.id AND c.state <> 'cancelled'
        CROSS JOIN LATERAL unnest(CASE r.family WHEN 'test_set' THEN ARRAY[c.test_method] ELSE r.evaluators END) AS e (name)
        LEFT JOIN reporting.results x ON x.run_id = r.id AND x.test_case_id = c.case_id AND x.repeat = c.repeat AND x.evaluator = e.name
        WHERE r.closed AND r.state IN ('completed', 'cancelled') GROUP BY r.id, c.ord, e.name HAVING count(x.*) <> 1""",
    "completed run with a case of which not every score is a result": """
        SELECT r.id, c.ord, count(x.*) FROM reporting.runs r
        JOIN runner.run_cases c ON c.run_id = r.id AND c.state <> 'cancelled'
        LEFT JOIN reporting.results x ON x.run_id = r.id AND x.ord = c.ord
        WHERE r.closed AND r.state IN ('completed', 'cancelled') GROUP BY r.id, c.ord, c.results HAVING count(x.*) <> c.results""",
    "result of a case that the run doesn't have": """
        SELECT x.run_id, x.ord FROM reporting.results x JOIN runner.runs r ON r.id = x.run_id
        LEFT JOIN runner.run_cases c ON c.run_id = x.run_id AND c.ord = x.ord AND c.case_id = x.test_case_id
        WHERE (c.ord IS NULL AND NOT r.cases_pruned) OR c.state = 'cancelled'""",
    "closed run with another number of results than was expected": """
        SELECT id FROM reporting.runs WHERE closed AND passed + failed + errors <> expected_results""",
    "run whose cases went before its results could be read": """
        SELECT r.id FROM runner.runs r LEFT JOIN reporting.runs p ON p.id = r.id WHERE r.cases_pruned AND (p.id IS NULL OR NOT p.closed)""",
    "case that nobody needs and nobody removes": """
        SELECT c.run_id, c.ord FROM runner.run_cases c LEFT JOIN runner.runs r ON r.id = c.run_id
        WHERE (r.id IS NULL OR r.cases_pruned) AND NOT EXISTS (SELECT FROM runner.removals m WHERE m.run_id = c.run_id)""",
    "case with other scores than the runner was told of": """
        SELECT c.run_id, c.ord FROM runner.run_cases c JOIN runner.runs r ON r.id = c.run_id
        LEFT JOIN scoring.scores s ON s.run_id = c.run_id AND s.case_id = c.case_id AND s.repeat = c.repeat
        WHERE c.state = 'scored' GROUP BY c.run_id, c.ord, c.results HAVING count(s.*) <> c.results""",
    "completed run with an open case": """
        SELECT r.id FROM reporting.runs r JOIN runner.run_cases c ON c.run_id = r.id
        WHERE r.closed AND c.state NOT IN ('scored', 'cancelled')""",
    "run that is still open though all its cases are final": f"""
        SELECT r.id FROM runner.runs r WHERE r.state IN ('running', 'cancelling') AND NOT EXISTS (
          SELECT FROM runner.run_cases c WHERE c.run_id = r.id AND c.state NOT IN ('scored', 'cancelled'))
          AND r.started_at < now() - {MINUTE}""",
    "run that nobody works on": f"""
        SELECT r.id FROM runner.runs r WHERE NOT r.client_driven AND r.state IN {OPEN} AND r.touched_at < now() - {MINUTE}
          AND NOT EXISTS (SELECT FROM runner.run_cases c WHERE c.run_id = r.id AND c.state = 'leased' AND c.lease_until > now())
          AND NOT EXISTS (SELECT FROM reporting.results x WHERE x.run_id = r.id AND x.created_at > now() - {MINUTE})""",
    "final run with other than one RunFinished": f"""
        SELECT r.id, count(o.*) FROM runner.runs r
        LEFT JOIN runner.outbox o ON o.topic = 'runner.run_finished' AND o.key = 'finished:' || r.id
        WHERE r.state IN ('completed', 'error', 'cancelled') AND r.completed_at > now() - {DAY} GROUP BY r.id HAVING count(o.*) <> 1""",
    "run whose counts are not those of its results": """
        SELECT r.id FROM reporting.runs r LEFT JOIN (
          SELECT run_id, count(*) FILTER (WHERE status = 'passed') AS passed, count(*) FILTER (WHERE status = 'failed') AS failed,
                 count(*) FILTER (WHERE status = 'error') AS errors, coalesce(sum(score::numeric), 0) AS score_sum,
                 count(score) AS score_count
          FROM reporting.results GROUP BY run_id) AS x ON x.run_id = r.id
        WHERE (r.passed, r.failed, r.errors, r.score_count) IS DISTINCT FROM
              (coalesce(x.passed, 0), coalesce(x.failed, 0), coalesce(x.errors, 0), coalesce(x.score_count, 0))
           OR abs(r.score_sum - coalesce(x.score_sum, 0)) > 1e-6""",
    "run whose events are not numbered densely": """
        SELECT r.id FROM reporting.runs r JOIN (
          SELECT run_id, count(*) AS many, count(DISTINCT seq) AS different, max(seq) AS last FROM (
            SELECT run_id, seq FROM reporting.results UNION ALL SELECT run_id, seq FROM reporting.run_events) AS every
          GROUP BY run_id) AS e ON e.run_id = r.id
        WHERE e.many <> e.different OR e.many <> e.last OR e.last <> r.last_seq""",
    "block whose counts are not those of its results": """
        SELECT run_id, block FROM (SELECT run_id, ord / 1000 AS block, count(*) AS many FROM reporting.results GROUP BY 1, 2) AS x
        FULL JOIN reporting.result_blocks b USING (run_id, block)
        WHERE x.many IS DISTINCT FROM b.passed + b.failed + b.errors""",
    "evaluation whose counts are not those of its results": """
        SELECT run_id, evaluator FROM (
          SELECT x.run_id, x.evaluator, count(*) FILTER (WHERE x.status = 'passed') AS passed,
                 count(*) FILTER (WHERE x.status = 'failed') AS failed, count(*) FILTER (WHERE x.status = 'error') AS errors,
                 count(x.score) AS score_count
          FROM reporting.results x JOIN reporting.runs r ON r.id = x.run_id AND r.family <> 'test_set' GROUP BY 1, 2) AS x
        FULL JOIN reporting.evaluations e USING (run_id, evaluator)
        WHERE (x.passed, x.failed, x.errors, x.score_count) IS DISTINCT FROM (e.passed, e.failed, e.errors, e.score_count)""",
    "run whose cases are not counted as they are": """
        SELECT r.id FROM reporting.runs r LEFT JOIN reporting.case_records c ON c.run_id = r.id WHERE r.family <> 'test_set'
        GROUP BY r.id HAVING (count(c.*), count(c.*) FILTER (WHERE c.answered)) <> (r.scored_cases, r.answered_cases)""",
    "result with another answer than the claim that held": """
        SELECT x.run_id, x.ord FROM reporting.results x JOIN runner.run_cases c ON c.run_id = x.run_id AND c.ord = x.ord
        WHERE x.actual_response IS DISTINCT FROM c.output""",
    "run that ended differently in the runner and in reporting": f"""
        SELECT r.id FROM runner.runs r LEFT JOIN reporting.runs p ON p.id = r.id
        WHERE r.state IN ('completed', 'error', 'cancelled') AND r.completed_at < now() - {MINUTE}
          AND (p.id IS NULL OR NOT p.closed OR p.state <> r.state)""",
    "lease that expired and was left": f"""
        SELECT run_id, ord FROM runner.run_cases WHERE state = 'leased' AND lease_until < now() - {MINUTE}""",
    **{
        f"{service} event that was not published": f"""
        SELECT id FROM {service}.outbox WHERE published_at IS NULL AND parked IS NULL AND created_at < now() - {MINUTE}"""
        for service in ("catalog", "runner", "scoring")
    },
    **{
        f"{topic.name} that {consumer} did not hear": f"""
        SELECT o.seq FROM {topic.producer}.outbox o
        WHERE o.topic = '{topic.name}' AND o.seq IS NOT NULL AND o.created_at < now() - {MINUTE}
          AND o.seq > coalesce((SELECT watermark FROM {consumer}.inbox_watermarks WHERE topic = o.topic), 0)
          AND NOT EXISTS (SELECT FROM {consumer}.inbox i WHERE i.topic = o.topic AND i.seq = o.seq)"""
        for topic in TOPICS.values()
        for consumer in topic.consumers
    },
}


async def findings(database_url: str, accepted: Sequence[UUID] = (), *, settled: bool = True) -> dict[str, list[str]]:
    """What must not be → up to 5 rows of it; empty when all is well. `accepted`: runs that were answered 201.

    The queries give everything a minute to settle; with `settled` False they look at what is there now, at once.
    """
    connection = await asyncpg.connect(database_url)
    try:
        found: dict[str, list[str]] = {}
        for name, query in QUERIES.items():
            text = query if settled else query.replace(MINUTE, "interval '0 seconds'")
            rows = await connection.fetch(f"SELECT * FROM ({text}) AS found LIMIT 5")
            if rows:
                found[name] = [str(dict(row)) for row in rows]
        known = await connection.fetch("SELECT id FROM runner.runs WHERE id = ANY($1::uuid[])", list(accepted))
        lost = set(accepted) - {row["id"] for row in known}
        if lost:
            found["accepted run that is missing"] = [str(run_id) for run_id in lost]
        return found
    finally:
        await connection.close()
