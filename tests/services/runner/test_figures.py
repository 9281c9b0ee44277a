"""What a runner counts: leases that ran out, and slots."""

import asyncio
from datetime import timedelta

from prometheus_client import REGISTRY

from services.runner.entities import Range
from services.runner.governor import Governor
from services.runner.operations import dispatch, execution
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.house import LEASE, running


def value(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


async def test_a_case_that_is_claimed_anew_counts_as_an_expired_lease(database: Database) -> None:
    run = await running(database, 6)
    before = value("assay_leases_expired_total")
    await execution.claim(database, run.id, [Range(0, 5)], timedelta(seconds=-1))
    assert value("assay_leases_expired_total") == before
    await execution.claim(database, run.id, [Range(0, 2)], LEASE)
    assert value("assay_leases_expired_total") == before + 3


async def test_tickets_are_outstanding_until_they_are_done(database: Database) -> None:
    before = await dispatch.outstanding(database)
    run = await running(database, 6)
    assert await dispatch.outstanding(database) > before
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM tickets WHERE run_id = $1", run.id)
    assert await dispatch.outstanding(database) == before


async def test_slots_are_counted_while_held_and_while_waited_for(database: Database) -> None:
    governor = Governor(database, "runner-1", LEASE)
    await governor.beat()
    run, connection = (new_id(), 8), (new_id(), 1)

    async def second() -> None:
        async with governor.slot(run, connection):
            pass

    async with governor.slot(run, connection):
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.05)
        assert (value("assay_governor_slots_in_use"), value("assay_governor_slots_waiting")) == (1, 1)
    await waiting
    assert (value("assay_governor_slots_in_use"), value("assay_governor_slots_waiting")) == (0, 0)
