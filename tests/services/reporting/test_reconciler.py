"""What was forgotten is found."""

import asyncio

from services.reporting.reconciler import Reconciler
from tests.services.reporting.builders import Facts, scored
from tests.services.reporting.conftest import Bench


async def test_a_run_that_could_have_closed_is_closed(bench: Bench) -> None:
    run = Facts(total=3)
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(0))))
    async with bench.database.connection() as connection:
        await connection.execute(
            "UPDATE runs SET final_state = 'cancelled', finished_at = now(), expected_results = 1 WHERE id = $1", run.id
        )
    bench.told.clear()
    reconciler = Reconciler(bench.database, bench.forgetting, bench._tell)
    await asyncio.gather(*(reconciler.look() for _ in range(4)))
    assert await bench.events(run) == [(1, "run.started"), (2, "case.scored"), (3, "run.cancelled")]
    assert bench.told == [run.id]


async def test_a_run_that_waits_for_results_is_left_alone(bench: Bench) -> None:
    run = Facts(total=3)
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(3)))
    await Reconciler(bench.database, bench.forgetting, bench._tell).look()
    assert not (await bench.run(run)).closed
