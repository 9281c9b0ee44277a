"""What is heard becomes rows, once, whatever comes twice and in whatever order."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from assay.runner.internal.v1 import runner_pb2
from services.reporting.entities.runs import Cases
from services.reporting.operations import projection
from services.reporting.operations.projection import Projection
from shared import long_texts
from shared.consumer import Received
from shared.errors import Unavailable
from shared.json_values import struct
from shared.postgres import Database
from tests.services.reporting.builders import ENDED_AT, STARTED_AT, Facts, a_score, in_parts, judged, scored
from tests.services.reporting.conftest import Bench, Peers

LONG = {"texts_by_id": True, "question": "", "expected": "", "output": None}
Delivery = tuple[Callable[[Sequence[Received]], Awaitable[None]], list[Received]]


async def test_a_run_is_pending_once_it_was_accepted(bench: Bench) -> None:
    run = Facts(total=3, tags=("nightly",))
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    found = await bench.run(run)
    assert (found.status, found.total_cases, found.tags, found.started_at) == ("pending", 3, ("nightly",), None)
    assert await bench.events(run) == [(1, "run.started")]


async def test_results_are_numbered_after_run_started(bench: Bench) -> None:
    run = Facts()
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(1), scored(0, "failed"))))
    found = await bench.run(run)
    assert (found.status, found.tally.passed, found.tally.failed, found.last_seq) == ("running", 1, 1, 3)
    assert await bench.events(run) == [(1, "run.started"), (2, "case.scored"), (3, "case.scored")]


async def test_a_run_closes_with_its_last_expected_result(bench: Bench) -> None:
    run = Facts(total=2)
    await bench.completed(run, scored(0), scored(1, "failed"))
    found = await bench.run(run)
    assert (found.status, found.closed, found.completed_at, found.started_at) == ("completed", True, ENDED_AT, STARTED_AT)
    assert (found.tally.pass_rate, found.tally.average_score) == (0.5, 0.625)
    assert (await bench.events(run))[-1] == (4, "run.completed")


async def test_a_run_that_ended_early_reads_running_until_its_last_result(bench: Bench) -> None:
    run = Facts(total=2)
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(2)))
    assert (await bench.run(run)).status == "running"
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(0))))
    assert (await bench.run(run)).status == "running"
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(1))))
    assert (await bench.run(run)).status == "completed"


async def test_a_run_that_could_not_be_executed_closes_without_results(bench: Bench) -> None:
    run = Facts()
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(0, "error", started_at=None, reason="the set is gone")))
    found = await bench.run(run)
    assert (found.status, found.reason, found.completed_at) == ("error", "the set is gone", ENDED_AT)
    assert await bench.events(run) == [(1, "run.started"), (2, "run.error")]


async def test_a_cancelled_run_closes_with_what_was_executed(bench: Bench) -> None:
    run = Facts(total=4)
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(1, "cancelled")))
    early = await bench.run(run)
    assert (early.status, early.completed_at) == ("cancelled", None)
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(2))))
    assert (await bench.run(run)).completed_at == ENDED_AT
    assert [kind for _, kind in await bench.events(run)] == ["run.started", "case.scored", "run.cancelled"]


async def test_a_closed_run_never_changes(bench: Bench) -> None:
    run = Facts(total=1)
    await bench.completed(run, scored(0))
    before = await bench.run(run)
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(0, "failed"), scored(1))))
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(5, "error")))
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    assert await bench.run(run) == before
    assert await bench.events(run) == [(1, "run.started"), (2, "case.scored"), (3, "run.completed")]
    assert await _blocks(bench.database, run) == (1, 0, 0)
    async with bench.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM results WHERE run_id = $1", run.id) == 1


@pytest.mark.parametrize("seed", range(12))
async def test_every_order_of_events_gives_the_same_rows(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 an order, not a secret
    told = [Facts(total=9), Facts(total=5)]
    deliveries: list[Delivery] = []
    for run in told:
        bench.peers.runner.knows(run.state())
        cases = [scored(n, ("passed", "failed", "error", "unscored")[n % 4], 0.1 * n if n % 4 < 2 else None) for n in range(run.total)]
        events = [run.scored(*part) for part in in_parts(cases, 2)]
        # The same cases once more under other numbers, as a producer restored from a backup would tell them.
        events += [run.scored(*part) for part in in_parts(cases, 3)]
        deliveries += [(bench.projection.cases_scored, [heard]) for heard in bench.numbers.heard(*events)]
        deliveries.append((bench.projection.runs_started, bench.numbers.heard(run.started())))
        deliveries.append((bench.projection.runs_finished, bench.numbers.heard(run.finished())))
    await _deliver(_batched(chance.sample(deliveries * 3, len(deliveries) * 3), chance))
    for run in told:
        found = await bench.run(run)
        scores = [0.1 * n for n in range(run.total) if n % 4 < 2]
        assert await bench.events(run) == [
            (1, "run.started"), *((n, "case.scored") for n in range(2, run.total + 2)), (run.total + 2, "run.completed")
        ]  # fmt: skip
        assert (found.tally.passed, found.tally.failed) == (len(range(0, run.total, 4)), len(range(1, run.total, 4)))
        assert (found.tally.results, found.tally.score_count) == (run.total, len(scores))
        assert found.tally.average_score == pytest.approx(sum(scores) / len(scores), abs=1e-12)
        assert await _blocks(bench.database, run) == (found.tally.passed, found.tally.failed, found.tally.errors)


def _batched(deliveries: Sequence[Delivery], chance: random.Random) -> list[Delivery]:
    """Neighbours that are heard by the same handler sometimes come in one batch."""
    batched: list[Delivery] = []
    for handle, group in itertools.groupby(deliveries, key=lambda delivery: delivery[0]):
        heard = [event for _, events in group for event in events]
        size = chance.randint(1, 4)
        batched += [(handle, list(part)) for part in in_parts(heard, size)]
    return batched


async def _deliver(deliveries: Sequence[Delivery]) -> None:
    for handle, heard in deliveries:
        await handle(heard)


async def _blocks(database: Database, run: Facts) -> tuple[Any, ...]:
    async with database.connection() as connection:
        row = await connection.fetchrow("SELECT sum(passed), sum(failed), sum(errors) FROM result_blocks WHERE run_id = $1", run.id)
    assert row is not None
    return tuple(row)


async def test_results_of_an_unknown_run_make_it_known_through_the_runner(bench: Bench) -> None:
    run = Facts(total=7)
    bench.peers.runner.knows(run.state())
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(0))))
    found = await bench.run(run)
    assert (found.total_cases, found.started_at, bench.told) == (7, STARTED_AT, [run.id])


async def test_results_wait_while_their_run_cannot_be_asked_for(database: Database, nobody_there: Peers) -> None:
    bench = Bench(database, nobody_there)
    heard = bench.numbers.heard(Facts().scored(scored(0)))
    with pytest.raises(Unavailable):
        await bench.projection.cases_scored(heard)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM inbox") == 0


async def test_results_of_a_run_that_the_runner_has_not_are_dropped(bench: Bench) -> None:
    run = Facts()
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(0))))
    assert await bench.events(run) == []


async def test_texts_that_were_too_long_are_asked_for(bench: Bench) -> None:
    run = Facts(total=2)
    bench.peers.runner.knows(run.state())
    bench.peers.runner.texts[str(run.id), 1] = runner_pb2.CaseTexts(
        ord=1, question="q" * 20_000, expected="e" * 20_000, output="o" * 20_000
    )
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(0)), run.scored(scored(1, executed=LONG))))
    async with bench.database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT question, expected_response, actual_response FROM results WHERE run_id = $1 AND ord = 1", run.id
        )
    assert row is not None
    assert [len(text) for text in row] == [20_000] * 3
    assert (await bench.run(run)).tally.results == 2


def keeps(bench: Bench, run: Facts, *ords: int) -> None:
    """Has the runner keep texts of 600 bytes and more."""
    bench.peers.runner.knows(run.state())
    for ord_ in ords:
        bench.peers.runner.texts[str(run.id), ord_] = runner_pb2.CaseTexts(
            ord=ord_, question=f"long {ord_}", expected="e" * 300, output="o" * 300, record=struct({"n": ord_})
        )


async def test_long_texts_are_written_before_more_of_them_are_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_texts, "PORTION_BYTES", 1000)
    run = Facts(total=6)
    keeps(bench, run, 1, 2, 3, 5)  # and not yet that of 4
    [event] = bench.numbers.heard(run.scored(*(scored(ord_, executed=LONG if ord_ else {}) for ord_ in (5, 4, 0, 3, 2, 1))))
    await bench.projection.runs_finished(bench.numbers.heard(run.finished()))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await bench.projection.cases_scored([event])
        assert await _questions(bench.database, run) == ["long 1", "long 2"]
    assert (await bench.run(run)).status == "running"
    keeps(bench, run, 4)
    bench.peers.runner.asked.clear()
    await bench.projection.cases_scored([event])
    assert bench.peers.runner.asked == ["ReadTexts"] * 3
    assert await _questions(bench.database, run) == ["question 0", *(f"long {ord_}" for ord_ in range(1, 6))]
    found = await bench.run(run)
    assert (found.status, found.tally.results, found.tally.score_count) == ("completed", 6, 6)
    assert [seq for seq, _ in await bench.events(run)] == list(range(1, 9))
    assert await _blocks(bench.database, run) == (6, 0, 0)
    await bench.projection.cases_scored([event])
    assert len(bench.peers.runner.asked) == 3


async def test_results_that_repeat_a_long_text_are_written_a_part_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "PIECE_CHARACTERS", 1300)
    run = Facts(total=2, family="run_test", group_key="nightly")
    keeps(bench, run, 0, 1)
    scores = [a_score(evaluator=f"judge {number}") for number in range(5)]
    cases = [judged(ord_, *scores, texts_by_id=True, question="", expected="", output=None) for ord_ in (0, 1)]
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(10)))
    bench.told.clear()
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(*cases)))
    assert bench.told == [run.id] * 6  # five times two results, and the event's number
    found = await bench.run(run)
    assert (found.status, found.tally.results, found.cases) == ("completed", 10, Cases(2, 2))
    async with bench.database.connection() as connection:
        rows = await connection.fetch("SELECT record FROM case_records WHERE run_id = $1 ORDER BY ord", run.id)
    assert [row["record"] for row in rows] == [{"n": 0}, {"n": 1}]


async def test_a_run_that_is_deleted_while_its_long_texts_are_asked_for_ends_all_the_same(bench: Bench) -> None:
    run = Facts(total=2)
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    [event] = bench.numbers.heard(run.scored(scored(0), scored(1, executed=LONG)))
    for _ in range(2):
        await bench.projection.cases_scored([event])
    assert (await _questions(bench.database, run), bench.peers.runner.asked) == ([], ["ReadTexts"])


async def test_two_processes_project_one_run_side_by_side(bench: Bench) -> None:
    run = Facts(total=400)
    bench.peers.runner.knows(run.state())
    other = Projection(bench.database, bench.peers.ask_runner, bench._tell)
    events = bench.numbers.heard(*(run.scored(*part) for part in in_parts([scored(n) for n in range(400)], 10)))
    finished = bench.numbers.heard(run.finished())
    await asyncio.gather(
        *(bench.projection.cases_scored(part) for part in in_parts(events, 7)),
        *(other.cases_scored(part) for part in in_parts(events[::-1], 5)),
        other.runs_finished(finished),
        bench.projection.runs_finished(finished),
    )
    assert [seq for seq, _ in await bench.events(run)] == list(range(1, 403))
    assert (await bench.run(run)).status == "completed"


async def _questions(database: Database, run: Facts) -> list[str]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT question FROM results WHERE run_id = $1 ORDER BY ord", run.id)
    return [row["question"] for row in rows]
