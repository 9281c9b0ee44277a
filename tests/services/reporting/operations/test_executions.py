"""What runs of all families but that of test sets have beside results."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from google.protobuf.struct_pb2 import Struct

from assay.runner.internal.v1 import runner_pb2
from services.reporting.entities.runs import Cases, Tally
from services.reporting.operations.projection import Projection
from services.reporting.store import executions
from shared.json_values import struct
from tests.services.reporting.builders import Facts, a_score, in_parts, judged, scored
from tests.services.reporting.conftest import Bench


def an_execution(total: int = 1, **more: Any) -> Facts:
    return Facts(**{"family": "run_test", "evaluators": ("polite", "short"), "total": total, **more})


async def records(bench: Bench, run: Facts) -> dict[int, Any]:
    async with bench.database.connection() as connection:
        rows = await connection.fetch("SELECT ord, record FROM case_records WHERE run_id = $1 ORDER BY ord", run.id)
    return {row["ord"]: row["record"] for row in rows}


async def evaluations(bench: Bench, run: Facts) -> dict[str, Tally]:
    async with bench.database.connection() as connection:
        return dict((await executions.evaluations(connection, run.workspace, [run.id])).get(run.id, {}))


async def project(bench: Bench, run: Facts, *cases: Any) -> None:
    bench.peers.runner.knows(run.state())
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(*cases)))


async def test_each_score_of_a_case_is_a_result_and_the_case_counts_once(bench: Bench) -> None:
    run = an_execution()
    await project(bench, run, judged(0, a_score(evaluator="polite"), a_score("failed", evaluator="short"), record={"usage": {"tokens": 3}}))
    found = await bench.run(run)
    assert (found.tally.passed, found.tally.failed, found.cases) == (1, 1, Cases(1, 1))
    assert await records(bench, run) == {0: {"usage": {"tokens": 3}}}
    assert await evaluations(bench, run) == {
        "polite": Tally(passed=1, score_sum=Decimal(1), score_count=1),
        "short": Tally(failed=1, score_sum=Decimal("0.25"), score_count=1),
    }


async def test_what_is_told_twice_and_side_by_side_counts_once(bench: Bench) -> None:
    run = an_execution(total=60)
    bench.peers.runner.knows(run.state())
    cases = [
        judged(n, a_score(("passed", "failed", "error")[n % 3], evaluator="polite"), a_score(evaluator="short"), **({"output": None} if n % 3 == 2 else {}))
        for n in range(60)
    ]  # fmt: skip
    events = [run.scored(*part) for part in (*in_parts(cases, 7), *in_parts(cases, 4))]
    heard = bench.numbers.heard(*events)
    other = Projection(bench.database, bench.peers.ask_runner, bench._tell)
    await asyncio.gather(
        *(bench.projection.cases_scored(part) for part in in_parts(heard, 3)),
        *(other.cases_scored(part) for part in in_parts(heard[::-1], 2)),
    )
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(120)))
    found = await bench.run(run)
    assert (found.closed, found.tally.results, found.cases) == (True, 120, Cases(60, 40))
    polite, short = (await evaluations(bench, run)).values()
    assert (polite.passed, polite.failed, polite.errors, short.passed) == (20, 20, 20, 60)
    assert len(await records(bench, run)) == 60


async def test_cases_of_test_sets_leave_nothing_here(bench: Bench) -> None:
    run = Facts(total=1)
    await bench.completed(run, scored(0, executed={"record": struct({"usage": {}})}))
    assert (await records(bench, run), await evaluations(bench, run), (await bench.run(run)).cases) == ({}, {}, Cases())


async def test_a_record_that_was_too_long_is_asked_for(bench: Bench) -> None:
    run = an_execution()
    transcript = [{"role": "assistant", "content": "x" * 20_000}]
    bench.peers.runner.texts[str(run.id), 0] = runner_pb2.CaseTexts(
        ord=0, question="q", expected="", output="o", record=struct({"transcript": transcript})
    )
    await project(bench, run, judged(0, texts_by_id=True, question="", expected="", output=None))
    assert await records(bench, run) == {0: {"transcript": transcript}}
    assert (await bench.run(run)).cases == Cases(1, 1)


async def test_a_record_that_postgres_refuses_is_made_fit(bench: Bench) -> None:
    run = an_execution()
    odd = Struct()
    odd.update({"a\0": ["\0", 1.5, 2, True, None]})
    odd.fields["inf"].number_value = float("inf")
    case = judged(0)
    case.executed.record.CopyFrom(odd)
    await project(bench, run, case)
    assert await records(bench, run) == {0: {"a\ufffd": ["\ufffd", 1.5, 2, True, None], "inf": None}}


async def test_how_a_judge_came_to_its_verdict_is_kept(bench: Bench) -> None:
    run = an_execution()
    await project(bench, run, judged(0, a_score(evaluator="polite", details=struct({"evidence": [{"quote": "now!"}]}))))
    async with bench.database.connection() as connection:
        assert await connection.fetchval("SELECT details FROM results WHERE run_id = $1", run.id) == {"evidence": [{"quote": "now!"}]}


async def test_what_a_run_is_of_is_projected(bench: Bench) -> None:
    run = an_execution(group_key="nightly", details={"name": "a", "scenario_ids": ["1", "2"], "at": datetime.now(UTC).isoformat()})
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    subject = (await bench.run(run)).subject
    assert (subject.id, subject.target_id, subject.family, subject.group_key) == (run.test_set, run.context, "run_test", "nightly")
    assert (subject.evaluators, subject.details, subject.client_driven) == (("polite", "short"), run.details, False)


async def test_nothing_is_left_of_a_deleted_run(bench: Bench) -> None:
    run = an_execution()
    await project(bench, run, judged(0))
    await bench.forgetting.forget(run.workspace, [run.id], [])
    await bench.forgetting.sweep()
    assert (await records(bench, run), await evaluations(bench, run)) == ({}, {})
