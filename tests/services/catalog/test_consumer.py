"""RunFinished, as it comes: twice, late, out of order, of sets that are gone; over real NATS at the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.catalog.v1 import test_sets_pb2
from assay.runner.internal.v1.events_pb2 import RunFinished
from assay.runner.internal.v1.runner_pb2 import RunState
from services.catalog.consumer import hearing
from shared.consumer import Ear, Received
from shared.ids import new_id
from shared.jetstream import Broker
from shared.outbox import SEQ_HEADER
from shared.topics import RUN_FINISHED
from tests.services.catalog.house import House

START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def finished(house: House, set_id: str, **said: Any) -> RunFinished:
    said = {"state": "completed", "hours": 0, "passed": 3, "failed": 1, "errors": 0, **said}
    expected = said["passed"] + said["failed"] + said["errors"]
    run = RunState(id=str(new_id()), workspace_id=str(house.us.workspace), subject_id=set_id, family="test_set", state=said["state"])
    run.completed_at.FromDatetime(START + timedelta(hours=said["hours"]))
    return RunFinished(run=run, expected_results=expected, passed=said["passed"], failed=said["failed"], errors=said["errors"])


async def heard(house: House, *events: tuple[int, RunFinished]) -> None:
    await hearing(house.rooms.test_sets).handle([Received(seq, message) for seq, message in events])


async def last_run(house: House, set_id: str) -> tuple[datetime, float] | None:
    made = await house.set_as_it_is(set_id)
    return (made.last_run_at.ToDatetime(UTC), made.last_run_pass_rate) if made.HasField("last_run_at") else None


@pytest.fixture
async def seq(house: House) -> AsyncIterator[int]:
    """A number that no earlier test of this database used."""
    async with house.database.connection() as sql:
        yield (await sql.fetchval("SELECT coalesce(max(seq), 0) FROM inbox")) + 1


async def test_a_completed_run_is_noted(house: House, seq: int) -> None:
    made = await house.a_set()
    await heard(house, (seq, finished(house, made.id)))
    assert await last_run(house, made.id) == (START, 0.75)


async def test_errors_stay_in_the_denominator(house: House, seq: int) -> None:
    made = await house.a_set()
    await heard(house, (seq, finished(house, made.id, passed=1, failed=1, errors=2)))
    assert await last_run(house, made.id) == (START, 0.25)


@pytest.mark.parametrize("state", ["cancelled", "error"])
async def test_a_run_that_ended_otherwise_is_not_noted(house: House, seq: int, state: str) -> None:
    made = await house.a_set()
    await heard(house, (seq, finished(house, made.id, state=state)))
    assert await last_run(house, made.id) is None


async def test_an_older_run_never_takes_the_place_of_a_newer(house: House, seq: int) -> None:
    made = await house.a_set()
    newer, older = finished(house, made.id, hours=2), finished(house, made.id, hours=1, passed=0)
    await heard(house, (seq, newer), (seq + 1, older))
    assert await last_run(house, made.id) == (START + timedelta(hours=2), 0.75)
    await heard(house, (seq + 2, finished(house, made.id, hours=3, passed=1, failed=1)))
    assert await last_run(house, made.id) == (START + timedelta(hours=3), 0.5)


async def test_a_repeated_event_has_no_effect(house: House, seq: int) -> None:
    made = await house.a_set()
    await heard(house, (seq, finished(house, made.id)))
    await heard(house, (seq, finished(house, made.id, hours=5, passed=0)))
    assert await last_run(house, made.id) == (START, 0.75)


async def test_unknown_sets_and_other_workspaces_are_left_alone(house: House, seq: int) -> None:
    theirs = await house.a_set(house.them)
    await heard(house, (seq, finished(house, str(new_id()))), (seq + 1, finished(house, theirs.id)))
    request = test_sets_pb2.GetTestSetRequest(test_set_id=theirs.id)
    assert not (await house.sets.GetTestSet(request, metadata=house.them.metadata)).HasField("last_run_at")


async def test_an_event_is_heard_as_soon_as_it_is_published(house: House, seq: int, nats_url: str) -> None:
    made = await house.a_set()
    broker = Broker(nats_url, "catalog-test")
    broker.start()
    listening = asyncio.create_task(Ear("catalog", broker, 30.0).hear(hearing(house.rooms.test_sets)))
    try:
        await asyncio.wait_for(broker.ready(), 10)
        await broker.publish(RUN_FINISHED, finished(house, made.id).SerializeToString(), {SEQ_HEADER: str(seq)})
        async with asyncio.timeout(10):
            while await last_run(house, made.id) is None:  # noqa: ASYNC110 the database is what is waited for
                await asyncio.sleep(0.02)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await broker.close()
