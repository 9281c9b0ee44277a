"""Transactions that tickets of one run share."""

import asyncio

from services.runner.entities import Range
from services.runner.operations import execution
from services.runner.together import Together
from shared.postgres import Database
from tests.services.runner.house import LEASE, answered, expire, rows, running, said


async def test_claims_at_once_share_no_case(database: Database) -> None:
    run = await running(database, 30)
    together = Together(database, LEASE)
    claims = await asyncio.gather(*(together.claim(run.id, [Range(first, first + 9)]) for first in (0, 0, 5, 10, 15, 20, 20)))
    ords = [case.ord for found, claimed in claims for case in claimed if found]
    assert sorted(ords) == list(range(30))


async def test_claims_of_different_runs_are_kept_apart(database: Database) -> None:
    made = [await running(database, 3) for _ in range(4)]
    together = Together(database, LEASE)
    claims = await asyncio.gather(*(together.claim(run.id, [Range(0, 2)]) for run in made))
    assert [(found.id, len(claimed)) for found, claimed in claims if found] == [(run.id, 3) for run in made]


async def test_a_stale_claim_of_the_same_worker_takes_no_effect_beside_the_later_one(database: Database) -> None:
    run = await running(database, 3)
    together = Together(database, LEASE)
    _, stale = await together.claim(run.id, [Range(0, 2)])
    await expire(database, run)
    _, fresh = await together.claim(run.id, [Range(1, 2)])
    written: list[object] = list(
        await asyncio.gather(together.record(run, answered(stale, "stale")), together.record(run, answered(fresh, "fresh")))
    )
    assert written == [{0}, {1, 2}]
    assert [row["output"] for row in await rows(database, "SELECT output FROM run_cases ORDER BY ord")] == ["stale", "fresh", "fresh"]
    told = [(case.ord, case.output) for event in await said(database, "runner.cases_executed") for case in event.cases]
    assert sorted(told) == [(0, "stale"), (1, "fresh"), (2, "fresh")]


async def test_both_orders_of_stale_and_fresh_in_one_batch_end_alike(database: Database) -> None:
    run = await running(database, 2)
    together = Together(database, LEASE)
    _, stale = await together.claim(run.id, [Range(0, 1)])
    await expire(database, run)
    _, fresh = await together.claim(run.id, [Range(0, 1)])
    # The first goes alone, so that the next two are one batch.
    first = execution.record(database, run, [])
    written: list[object] = list(
        await asyncio.gather(
            together.record(run, []), together.record(run, answered(fresh, "fresh")), together.record(run, answered(stale, "stale")), first
        )
    )
    assert written[1:3] == [{0, 1}, set()]
    assert [case.output for event in await said(database, "runner.cases_executed") for case in event.cases] == ["fresh", "fresh"]


async def test_one_that_gives_up_takes_nothing_from_the_others(database: Database) -> None:
    run = await running(database, 8)
    together = Together(database, LEASE)
    claiming = [asyncio.create_task(together.claim(run.id, [Range(2 * each, 2 * each + 1)])) for each in range(4)]
    await asyncio.sleep(0)
    claiming[2].cancel()
    outcomes = await asyncio.gather(*claiming, return_exceptions=True)
    assert [len(outcome[1]) for outcome in outcomes if isinstance(outcome, tuple)] == [2, 2, 2]


async def test_nothing_is_kept_of_runs_that_are_done(database: Database) -> None:
    run = await running(database, 4)
    together = Together(database, LEASE)
    found, claimed = await together.claim(run.id, [Range(0, 3)])
    assert found is not None
    await together.record(found, answered(claimed))
    await together.finish(run.id, [1])
    assert not together._claims
    assert not together._effects
    assert not together._ends
