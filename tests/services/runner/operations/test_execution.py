"""Claims, fences, leases and effects on real Postgres."""

import asyncio
import random
from datetime import timedelta

import pytest

from services.runner.entities import Executed, Range, Ticket
from services.runner.operations import execution
from services.runner.operations.completion import Completion
from services.runner.operations.runs import cancel_run, close_unexecuted
from shared.postgres import Database
from tests.services.runner.house import LEASE, OURS, a_run, answered, claim, expire, rows, running, said, scores, states

EXECUTED = "runner.cases_executed"


async def published(database: Database) -> list[int]:
    """The ords that scoring was told of."""
    return [case.ord for event in await said(database, EXECUTED) for case in event.cases]


async def column(database: Database, name: str) -> list[object]:
    return [row[name] for row in await rows(database, f"SELECT {name} FROM run_cases ORDER BY ord")]


async def test_claims_of_one_range_share_no_case(database: Database) -> None:
    run = await running(database, 40)
    claims = await asyncio.gather(
        *(claim(database, run, *bounds) for bounds in [(0, 39), (0, 39), (5, 30), (20, 39), (39, 39), (0, 0)] * 3)
    )
    assert sorted(case.ord for claimed in claims for case in claimed) == list(range(40))
    assert {case.fence for claimed in claims for case in claimed} == {1}


async def test_claims_of_overlapping_ranges_at_once_share_no_case(database: Database) -> None:
    run = await running(database, 30)
    chance = random.Random(1)  # noqa: S311 a test's order
    bounds = [sorted(chance.sample(range(30), 2)) for _ in range(30)]
    claims = await asyncio.gather(*(claim(database, run, first, last) for first, last in bounds))
    ords = [case.ord for claimed in claims for case in claimed]
    assert len(ords) == len(set(ords))


async def test_cases_come_in_order_and_whole(database: Database) -> None:
    run = await running(database, 6, repeats=2)
    claimed = await claim(database, run)
    assert [case.ord for case in claimed] == list(range(12))
    assert [(case.repeat, case.question) for case in claimed[5:7]] == [(1, "question 5"), (2, "question 0")]


async def test_a_live_lease_is_not_claimed_and_an_expired_one_is_under_a_higher_fence(database: Database) -> None:
    run = await running(database, 3)
    await claim(database, run)
    assert await claim(database, run) == []
    await expire(database, run)
    again = await claim(database, run)
    assert [case.fence for case in again] == [2, 2, 2]
    assert await column(database, "expiries") == [1, 1, 1]


@pytest.mark.parametrize("state", ["pending", "starting", "cancelling", "completed", "error", "cancelled"])
async def test_cases_are_claimed_of_running_runs_alone(database: Database, state: str) -> None:
    run = await running(database, 3)
    async with database.transaction() as connection:
        await connection.execute("UPDATE runs SET state = $1", state)
    assert await claim(database, run) == []


async def test_a_run_that_is_gone_has_nothing_to_claim(database: Database) -> None:
    assert await execution.claim(database, a_run().id, [Range(0, 9)], LEASE) == (None, [])


async def test_an_effect_is_written_and_published_with_all_that_scoring_needs(database: Database) -> None:
    run = await running(database, 2)
    good, bad = await claim(database, run)
    done = [Executed(good, "out", None, 12, 2, ("cut off", "replaced")), Executed(bad, None, "HTTP 500", None, 3)]
    assert await execution.record(database, run, done) == {0, 1}
    found = await rows(database, "SELECT state, output, error, execution_time_ms, attempts, warnings FROM run_cases ORDER BY ord")
    assert [tuple(row) for row in found] == [
        ("executed", "out", None, 12, 2, ["cut off", "replaced"]),
        ("executed", None, "HTTP 500", None, 3, []),
    ]
    [event] = await said(database, EXECUTED)
    assert (event.run_id, event.language, event.workspace_id) == (str(run.id), "en", str(OURS))
    assert [(case.output, case.error, case.attempts) for case in event.cases] == [("out", "", 2), ("", "HTTP 500", 3)]


async def test_a_stale_effect_writes_and_publishes_nothing(database: Database) -> None:
    run = await running(database, 2)
    stale = await claim(database, run)
    await expire(database, run)
    fresh = await claim(database, run)
    assert await execution.record(database, run, answered(stale, "stale")) == set()
    assert await execution.record(database, run, answered(fresh, "fresh")) == {0, 1}
    assert await execution.record(database, run, answered(stale, "stale")) == set()
    assert await column(database, "output") == ["fresh", "fresh"]
    assert await published(database) == [0, 1]


async def test_an_effect_lost_in_part_commits_the_rest(database: Database) -> None:
    run = await running(database, 4)
    mine = await claim(database, run)
    await expire(database, run)
    theirs = await claim(database, run, 1, 2)
    assert await execution.record(database, run, answered(mine, "mine")) == {0, 3}
    assert await execution.record(database, run, answered(theirs, "theirs")) == {1, 2}
    assert await column(database, "output") == ["mine", "theirs", "theirs", "mine"]
    assert sorted(await published(database)) == [0, 1, 2, 3]


async def test_an_effect_takes_place_once(database: Database) -> None:
    run = await running(database, 3)
    claimed = await claim(database, run)
    outcomes = await asyncio.gather(*(execution.record(database, run, answered(claimed)) for _ in range(6)))
    assert sorted(map(len, outcomes)) == [0, 0, 0, 0, 0, 3]
    assert await published(database) == [0, 1, 2]


async def test_a_lease_that_ran_out_and_was_not_claimed_still_allows_the_effect(database: Database) -> None:
    run = await running(database, 1)
    claimed = await claim(database, run)
    await expire(database, run)
    assert await execution.record(database, run, answered(claimed)) == {0}


async def test_an_effect_after_a_cancel_writes_nothing(database: Database) -> None:
    run = await running(database, 2)
    claimed = await claim(database, run)
    await cancel_run(database, OURS, run.id)
    await close_unexecuted(database, run.id)
    assert await execution.record(database, run, answered(claimed)) == set()
    assert await states(database, run) == ["cancelled", "cancelled"]
    assert await published(database) == []


async def test_what_is_given_back_can_be_claimed_at_once_and_counts_no_expiry(database: Database) -> None:
    run = await running(database, 3)
    claimed = await claim(database, run)
    await execution.record(database, run, answered(claimed[:1]))
    await execution.give_back(database, run.id, {case.ord: case.fence for case in claimed})
    assert await states(database, run) == ["executed", "queued", "queued"]
    again = await claim(database, run)
    assert [(case.ord, case.fence) for case in again] == [(1, 2), (2, 2)]
    assert await column(database, "expiries") == [0, 0, 0]


async def test_a_stale_worker_gives_nothing_back(database: Database) -> None:
    run = await running(database, 1)
    [stale] = await claim(database, run)
    await expire(database, run)
    await claim(database, run)
    await execution.give_back(database, run.id, {0: stale.fence})
    assert await states(database, run) == ["leased"]


async def test_a_renewal_keeps_what_is_ours_and_tells_what_is_lost(database: Database) -> None:
    run = await running(database, 4)
    mine = await claim(database, run, lease=timedelta(seconds=1))
    fences = {case.ord: case.fence for case in mine}
    await expire(database, run)
    await claim(database, run, 2, 2)
    await execution.record(database, run, answered(mine[3:]))
    assert await execution.renew(database, run.id, fences, timedelta(hours=1)) == {0, 1}
    assert await claim(database, run) == []


async def test_attempts_add_up_over_claims(database: Database) -> None:
    run = await running(database, 1)
    async with database.transaction() as connection:
        await connection.execute("UPDATE run_cases SET attempts = 2")
    claimed = await claim(database, run)
    await execution.record(database, run, answered(claimed))
    assert await column(database, "attempts") == [3]
    assert (await said(database, EXECUTED))[0].cases[0].attempts == 3


async def test_long_texts_travel_by_id_and_events_are_split(database: Database) -> None:
    run = await running(database, 200)
    claimed = await claim(database, run)
    done = [Executed(case, ("é" * 4000 if case.ord else "x" * 9000), None, 1, 1) for case in claimed]
    await execution.record(database, run, done)
    events = await said(database, EXECUTED)
    assert len(events) > 2
    assert max(event.ByteSize() for event in events) <= 513 * 1024
    found = {case.ord: case for event in events for case in event.cases}
    assert (found[0].texts_by_id, found[0].HasField("output"), found[0].question) == (True, False, "")
    assert (found[1].texts_by_id, found[1].question) == (False, "question 1")
    assert sorted(found) == list(range(200))


async def test_a_case_is_blamed_once_it_expired_alone_five_times(database: Database) -> None:
    run = await running(database, 2)
    single = Ticket(run.id, 99, Range(0, 0))
    for _ in range(6):
        await execution.blame(database, single, LEASE)
        assert (await states(database, run))[0] in ("queued", "leased")
        await expire(database, run)
        await execution.claim(database, run.id, [Range(0, 0)], LEASE)
    await execution.blame(database, single, LEASE)
    assert (await states(database, run))[0] == "leased"  # its lease lives
    await expire(database, run)
    await execution.blame(database, single, LEASE)
    assert await states(database, run) == ["executed", "queued"]
    [event] = await said(database, EXECUTED)
    assert (event.cases[0].error, event.cases[0].HasField("output")) == ("the worker died each time it executed this case", False)


async def test_earlier_turns_are_those_of_the_same_conversation(database: Database) -> None:
    run = await running(database, 3, repeats=2, mode="scenario")
    claimed = await claim(database, run)
    await execution.record(database, run, [Executed(case, f"answer {case.ord}", None, 1, 1) for case in claimed[:5]])
    assert [turn.answer for turn in await execution.earlier_turns(database, run, claimed[5])] == ["answer 3", "answer 4"]
    assert await execution.earlier_turns(database, run, claimed[3]) == []


async def test_a_replayed_score_changes_nothing(database: Database) -> None:
    run, completion = await running(database, 2), Completion(database)
    await execution.record(database, run, answered(await claim(database, run)))
    await completion.hear_scored([scores(run, [0], 1)])
    await completion.hear_scored([scores(run, [0, 1], 1, "failed")])
    await completion.hear_scored([scores(run, [0], 2, "failed")])
    assert await column(database, "outcome") == ["passed", None]
