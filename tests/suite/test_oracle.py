"""Each line of the oracle is seen red once, on a planted fault; a check that can't fail would prove nothing."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest

from shared.topics import TOPICS
from tests.servers import PostgresServer
from tests.suite import oracle

SERVICES = ["catalog", "runner", "scoring", "reporting"]
RUN = UUID("019a0000-0000-7000-8000-000000000001")
SET = UUID("019a0000-0000-7000-8000-000000000002")
WORKSPACE = UUID("019a0000-0000-7000-8000-000000000003")
DRIVEN = UUID("019a0000-0000-7000-8000-000000000004")

# One set of three cases, and one completed run of it, as the services leave them.
WORLD = f"""
INSERT INTO catalog.test_cases (workspace_id, test_set_id, id, from_rev, question, expected_response, test_method,
                                passing_score, keywords, position, created_at, updated_at)
SELECT '{WORKSPACE}', '{SET}', ('019a0000-0000-7000-8000-00000000010' || n)::uuid, 1, 'q', 'x', 'exact_match', 0.7, '{{}}', n,
       now() - interval '1 hour', now() - interval '1 hour' FROM generate_series(0, 2) AS n;

INSERT INTO runner.runs (id, workspace_id, subject_id, target_id, revision, mode, language, target, connection_id, state,
                         triggered_by, tags, case_count, repeats, total_cases, slots, created_at, started_at, completed_at, touched_at)
SELECT '{RUN}', '{WORKSPACE}', '{SET}', '{SET}', 1, 'independent', 'en', '{{}}', '{SET}', 'completed', 'api', '{{}}', 3, 1, 3, 1,
       past, past, past, past FROM (SELECT now() - interval '1 hour' AS past) AS t;
INSERT INTO runner.run_cases (run_id, ord, case_id, repeat, question, expected, test_method, passing_score, keywords, state,
                              attempts, output, outcome)
SELECT '{RUN}', position, id, 1, question, expected_response, test_method, passing_score, keywords, 'scored', 1, 'x', 'passed'
FROM catalog.test_cases;
INSERT INTO scoring.scores (run_id, case_id, repeat, evaluator, workspace_id, status, value, method, threshold, reason, scored_by,
                            warnings, scored_at)
SELECT run_id, case_id, repeat, test_method, '{WORKSPACE}', 'passed', 1, 'deterministic', 0.7, 'equal', 'exact_match@1', '{{}}', now()
FROM runner.run_cases;
INSERT INTO runner.outbox (topic, seq, key, payload, created_at, published_at)
SELECT 'runner.run_finished', 1, 'finished:{RUN}', '', past, past FROM (SELECT now() - interval '1 hour' AS past) AS t;
INSERT INTO reporting.inbox (topic, seq) VALUES ('runner.run_finished', 1);
INSERT INTO catalog.inbox (topic, seq) VALUES ('runner.run_finished', 1);

INSERT INTO reporting.runs (id, workspace_id, subject_id, target_id, state, triggered_by, total_cases, tags, created_at,
                            started_at, completed_at, passed, score_sum, score_count, last_seq, final_state, expected_results, closed)
SELECT '{RUN}', '{WORKSPACE}', '{SET}', '{SET}', 'completed', 'api', 3, '{{}}', past, past, past, 3, 3, 3, 5, 'completed', 3, true
FROM (SELECT now() - interval '1 hour' AS past) AS t;
INSERT INTO reporting.results (run_id, ord, evaluator, seq, workspace_id, id, test_case_id, repeat, question, expected_response,
                               actual_response, test_method, method, status, score, threshold, scored_by, warnings, attempts, created_at)
SELECT run_id, ord, test_method, ord + 2, '{WORKSPACE}', gen_random_uuid(), case_id, repeat, question, expected, output, test_method,
       'deterministic', 'passed', 1, 0.7, 'exact_match@1', '[]', 1, now() - interval '1 hour' FROM runner.run_cases;
INSERT INTO reporting.result_blocks (run_id, block, workspace_id, passed, failed, errors) VALUES ('{RUN}', 0, '{WORKSPACE}', 3, 0, 0);
INSERT INTO reporting.run_events (run_id, seq, workspace_id, kind)
VALUES ('{RUN}', 1, '{WORKSPACE}', 'run.started'), ('{RUN}', 5, '{WORKSPACE}', 'run.completed');
"""

# Beside it a run that a client drives: one case is judged by two evaluators, the other one is awaited since an hour.
WORLD += f"""
INSERT INTO runner.runs (id, workspace_id, subject_id, revision, mode, language, state, triggered_by, tags, case_count, repeats,
                         total_cases, slots, created_at, started_at, touched_at, family, client_driven, target)
SELECT '{DRIVEN}', '{WORKSPACE}', '{SET}', 1, 'independent', 'en', 'running', 'api', '{{}}', 2, 1, 2, 1, past, past, past, 'dataset', true,
       '{{}}'
FROM (SELECT now() - interval '1 hour' AS past) AS t;
INSERT INTO runner.run_cases (run_id, ord, case_id, repeat, question, expected, test_method, passing_score, keywords, state,
                              attempts, output, outcome, results)
VALUES ('{DRIVEN}', 0, '{RUN}', 1, 'q', '', '', 0, '{{}}', 'scored', 1, 'x', 'passed', 2),
       ('{DRIVEN}', 1, '{SET}', 1, 'q', '', '', 0, '{{}}', 'queued', 0, NULL, NULL, 1);
INSERT INTO scoring.scores (run_id, case_id, repeat, evaluator, workspace_id, status, value, method, threshold, reason, scored_by,
                            warnings, scored_at)
SELECT '{DRIVEN}', '{RUN}', 1, name, '{WORKSPACE}', 'passed', 1, 'deterministic', 0.7, 'equal', 'x@1', '{{}}', now()
FROM unnest(ARRAY['polite', 'short']) AS name;
INSERT INTO reporting.runs (id, workspace_id, subject_id, state, triggered_by, total_cases, tags, created_at, started_at, passed,
                            score_sum, score_count, last_seq, family, evaluators, client_driven, scored_cases, answered_cases)
SELECT '{DRIVEN}', '{WORKSPACE}', '{SET}', 'running', 'api', 2, '{{}}', past, past, 2, 2, 2, 3, 'dataset', '{{polite,short}}', true, 1, 1
FROM (SELECT now() - interval '1 hour' AS past) AS t;
INSERT INTO reporting.results (run_id, ord, evaluator, seq, workspace_id, id, test_case_id, repeat, question, expected_response,
                               actual_response, test_method, method, status, score, threshold, scored_by, warnings, attempts, created_at)
SELECT '{DRIVEN}', 0, name, n + 1, '{WORKSPACE}', gen_random_uuid(), '{RUN}', 1, 'q', '', 'x', '', 'deterministic', 'passed', 1, 0.7, 'x@1',
       '[]', 1, now() - interval '1 hour' FROM unnest(ARRAY['polite', 'short']) WITH ORDINALITY AS t (name, n);
INSERT INTO reporting.result_blocks (run_id, block, workspace_id, passed, failed, errors) VALUES ('{DRIVEN}', 0, '{WORKSPACE}', 2, 0, 0);
INSERT INTO reporting.evaluations (run_id, evaluator, workspace_id, passed, failed, errors, score_sum, score_count)
SELECT '{DRIVEN}', name, '{WORKSPACE}', 1, 0, 0, 1, 1 FROM unnest(ARRAY['polite', 'short']) AS name;
INSERT INTO reporting.case_records (run_id, ord, workspace_id, answered, record) VALUES ('{DRIVEN}', 0, '{WORKSPACE}', true, '{{}}');
INSERT INTO reporting.run_events (run_id, seq, workspace_id, kind) VALUES ('{DRIVEN}', 1, '{WORKSPACE}', 'run.started');
"""

AN_HOUR_AGO = "now() - interval '1 hour'"

PLANTED = {
    "run whose frozen cases are not the set's cases at its revision": "UPDATE runner.run_cases SET case_id = gen_random_uuid() WHERE ord = 1",
    "open or completed run without all of its cases": f"DELETE FROM runner.run_cases WHERE run_id = '{DRIVEN}' AND ord = 1",
    "completed run with other than one result for a case and evaluator": "DELETE FROM reporting.results WHERE ord = 1",
    "completed run with a case of which not every score is a result": f"UPDATE runner.run_cases SET results = 2 WHERE run_id = '{RUN}'",
    "result of a case that the run doesn't have": "UPDATE reporting.results SET ord = 7 WHERE ord = 1",
    "closed run with another number of results than was expected": f"UPDATE reporting.runs SET expected_results = 4 WHERE id = '{RUN}'",
    "run whose cases went before its results could be read": f"UPDATE runner.runs SET cases_pruned = true WHERE id = '{DRIVEN}'",
    "case that nobody needs and nobody removes": f"UPDATE runner.runs SET cases_pruned = true WHERE id = '{RUN}'",
    "case with other scores than the runner was told of": "DELETE FROM scoring.scores WHERE evaluator = 'polite'",
    "completed run with an open case": f"UPDATE runner.run_cases SET state = 'executed' WHERE run_id = '{RUN}' AND ord = 1",
    "run that is still open though all its cases are final": "UPDATE runner.runs SET state = 'running'",
    "run that nobody works on": f"UPDATE runner.runs SET state = 'starting' WHERE id = '{RUN}'",
    "final run with other than one RunFinished": "DELETE FROM runner.outbox",
    "run whose counts are not those of its results": "UPDATE reporting.runs SET passed = 2, failed = 1",
    "run whose events are not numbered densely": "UPDATE reporting.results SET seq = 9 WHERE ord = 2",
    "block whose counts are not those of its results": "UPDATE reporting.result_blocks SET passed = 2",
    "evaluation whose counts are not those of its results": "UPDATE reporting.evaluations SET passed = 2 WHERE evaluator = 'short'",
    "run whose cases are not counted as they are": f"UPDATE reporting.runs SET answered_cases = 0 WHERE id = '{DRIVEN}'",
    "result with another answer than the claim that held": "UPDATE reporting.results SET actual_response = 'stale' WHERE ord = 1",
    "run that ended differently in the runner and in reporting": "UPDATE runner.runs SET state = 'cancelled'",
    "lease that expired and was left": f"UPDATE runner.run_cases SET state = 'leased', lease_until = {AN_HOUR_AGO} WHERE ord = 1",
    **{
        f"{service} event that was not published": f"INSERT INTO {service}.outbox (topic, payload, created_at) VALUES ('t', '', {AN_HOUR_AGO})"
        for service in ("catalog", "runner", "scoring")
    },
    **{
        f"{topic.name} that {consumer} did not hear": f"INSERT INTO {topic.producer}.outbox (topic, seq, payload, created_at, published_at)"
        f" VALUES ('{topic.name}', 9, '', {AN_HOUR_AGO}, now())"
        for topic in TOPICS.values()
        for consumer in topic.consumers
    },
}


@pytest.fixture(scope="module")
def urls(postgres: PostgresServer) -> dict[str, str]:
    return postgres.create(SERVICES)


@pytest.fixture
async def world(urls: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(urls["assay"])
    await connection.execute(WORLD)
    yield connection
    tables = await connection.fetch(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY($1) AND tablename <> 'schema_migrations'", SERVICES
    )
    # Twenty times faster than TRUNCATE, for a handful of rows.
    await connection.execute("; ".join(f"DELETE FROM {schema}.{table}" for schema, table in tables))
    await connection.close()


async def test_all_is_well_in_a_whole_world(world: asyncpg.Connection, urls: dict[str, str]) -> None:
    assert await world.fetchval("SELECT count(*) FROM reporting.results") == 5
    assert await oracle.findings(urls["assay"], [RUN]) == {}


@pytest.mark.parametrize("name", oracle.QUERIES)
async def test_a_planted_fault_is_found(world: asyncpg.Connection, urls: dict[str, str], name: str) -> None:
    await world.execute(PLANTED[name])
    assert name in await oracle.findings(urls["assay"], [RUN])


PRUNED = f"UPDATE runner.runs SET cases_pruned = true WHERE id = '{RUN}'"
REMOVING = f"INSERT INTO runner.removals (run_id) VALUES ('{RUN}'); DELETE FROM runner.run_cases WHERE run_id = '{RUN}' AND ord"


@pytest.mark.parametrize("gone", [0, 1, 3])
async def test_a_run_whose_cases_are_being_pruned_is_well(world: asyncpg.Connection, urls: dict[str, str], gone: int) -> None:
    await world.execute(f"{PRUNED}; {REMOVING} < {gone}")
    assert await oracle.findings(urls["assay"], [RUN]) == {}


async def test_a_lost_result_of_a_pruned_run_is_found(world: asyncpg.Connection, urls: dict[str, str]) -> None:
    await world.execute(f"{PRUNED}; {REMOVING} < 3; DELETE FROM reporting.results WHERE run_id = '{RUN}' AND ord = 1")
    assert "run whose counts are not those of its results" in await oracle.findings(urls["assay"], [RUN])


async def test_what_is_trimmed_after_a_day_is_not_missed(world: asyncpg.Connection, urls: dict[str, str]) -> None:
    days_ago = "now() - interval '2 days'"
    await world.execute(f"UPDATE runner.runs SET created_at = {days_ago}, completed_at = {days_ago} WHERE id = '{RUN}'")
    await world.execute("DELETE FROM runner.outbox; DELETE FROM catalog.test_cases WHERE position = 1")
    assert await oracle.findings(urls["assay"], [RUN]) == {}


async def test_an_accepted_run_that_is_missing_is_found(world: asyncpg.Connection, urls: dict[str, str]) -> None:
    await world.execute("SELECT 1")
    assert list(await oracle.findings(urls["assay"], [RUN, uuid4()])) == ["accepted run that is missing"]
