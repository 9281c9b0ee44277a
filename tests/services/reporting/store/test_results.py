"""Pages found by blocks are the pages that counting would find."""

import random

import pytest

from services.reporting.store import comparisons
from shared.pages import PageRequest
from tests.services.reporting.builders import Facts, a_score, in_parts, scored
from tests.services.reporting.conftest import Bench

STATUSES = ("passed", "failed", "error")


async def filled(bench: Bench, run: Facts, ords: list[int], evaluators: int = 1) -> list[tuple[int, str, str]]:
    """Projects results of these ords, shuffled; tells ord, question and status of each, as they should be listed."""
    chance = random.Random(run.total)  # noqa: S311 a choice, not a secret
    told = []
    for ord_ in ords:
        for number in range(evaluators):
            status = chance.choices(STATUSES, (70, 29, 1))[0]
            told.append((ord_, f"{ord_}/{number}", status, f"evaluator {number}"))
    cases = [scored(ord_, status, executed={"question": question}, score={"evaluator": name}) for ord_, question, status, name in told]
    chance.shuffle(cases)
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    for part in in_parts(bench.numbers.heard(*(run.scored(*part) for part in in_parts(cases, 500))), 8):
        await bench.projection.cases_scored(part)
    return [(ord_, question, status) for ord_, question, status, _ in told]


@pytest.mark.parametrize(
    ("ords", "evaluators"),
    [
        (list(range(20_000)), 1),
        # Holes within blocks, whole blocks empty, a block that is full beside one that holds one.
        ([n for n in range(30_000) if n % 7 and not 4000 <= n < 9000 and (n < 12_000 or n > 12_998)], 1),
        ([0, 999, 1000, 1001, 999_999], 1),
        (list(range(0, 6000, 3)), 3),
    ],
    ids=["dense", "holes", "sparse", "several evaluators"],
)
async def test_every_page_equals_the_naive_one(bench: Bench, ords: list[int], evaluators: int) -> None:
    run = Facts(total=len(ords))
    told = await filled(bench, run, ords, evaluators)
    chance = random.Random(7)  # noqa: S311 a choice, not a secret
    for status in (None, *STATUSES):
        wanted = [question for _, question, found in told if status in (None, found)]
        for size in (1, 20, 100):
            last = -(-len(wanted) // size)
            for page in {1, last, last + 1, *(chance.randint(1, last + 1) for _ in range(6))} - {0}:
                request = PageRequest(page, size)
                questions, total = await bench.ords(run, status, request)
                assert (list(questions), total) == (wanted[request.offset :][:size], len(wanted)), (status, page, size)


async def test_results_that_are_known_are_neither_numbered_nor_counted_again(bench: Bench) -> None:
    run = Facts(total=10)
    await filled(bench, run, [1, 3, 5])
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(*(scored(n, score={"evaluator": "evaluator 0"}) for n in range(6)))))
    found = await bench.run(run)
    assert (found.tally.results, found.last_seq) == (6, 7)
    assert [seq for seq, _ in await bench.events(run)] == list(range(1, 8))
    async with bench.database.connection() as connection:
        assert await connection.fetchval("SELECT sum(passed + failed + errors) FROM result_blocks WHERE run_id = $1", run.id) == 6


async def test_a_repeat_that_several_judged_is_one_in_a_comparison_and_passed_if_all_say_so(bench: Bench) -> None:
    run = Facts(total=2)
    both = [scored(n, executed={"case_id": str(run.id), "repeat": n + 1}) for n in range(2)]
    for case, second in zip(both, ("passed", "failed"), strict=True):
        case.scores.append(a_score(second, evaluator="another"))
    await bench.completed(run, *both)
    async with bench.database.connection() as connection:
        found = (await comparisons.cases(connection, await bench.run(run)))[run.id]
    assert (found.results, found.passed, found.errors, found.status) == (2, 1, 0, "failed")
