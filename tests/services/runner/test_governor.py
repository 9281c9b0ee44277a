"""Limits on calls, for the whole cluster."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from services.runner import governor as governing
from services.runner.governor import Governor, Share, share_of
from services.runner.store.instances import Instance, Members
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.house import NOW, rows
from tests.shared.waiting import until

LEASE = timedelta(seconds=30)
ME, OTHER, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def live(*instances: tuple[UUID, float, float | None]) -> Members:
    """Live runners as (id, joined at, settled at), oldest first."""
    return Members(
        at(100), tuple(Instance(id_, at(joined), None if settled is None else at(settled)) for id_, joined, settled in instances)
    )


@pytest.mark.parametrize(
    ("place", "count", "limit", "slots"),
    [
        (0, 0, 8, 0),
        (0, 1, 8, 8),
        (0, 2, 8, 4),
        (1, 2, 8, 4),
        (0, 3, 8, 3),
        (1, 3, 8, 3),
        (2, 3, 8, 2),
        (0, 3, 1, 1),
        (1, 3, 1, 0),
        (0, 1, 0, 0),
    ],
)
def test_the_remainder_goes_to_the_oldest(place: int, count: int, limit: int, slots: int) -> None:
    assert Share(place, count).of(limit) == slots


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("limit", [1, 2, 7, 8, 64, 10_000])
def test_shares_add_up_to_the_limit(count: int, limit: int) -> None:
    assert sum(Share(place, count).of(limit) for place in range(count)) == limit


@pytest.mark.parametrize(
    ("members", "share"),
    [
        (live(), Share()),
        (live((OTHER, 0, 50)), Share()),
        (live((ME, 0, None)), Share(0, 1)),
        (live((ME, 0, 5), (OTHER, 10, None)), Share(0, 2)),  # a newcomer counts at once
        (live((OTHER, 0, 5), (ME, 10, None)), Share()),  # the other settled before we came
        (live((OTHER, 0, None), (ME, 10, None)), Share()),
        (live((OTHER, 0, 10), (ME, 10, None)), Share(1, 2)),
        (live((OTHER, 0, 11), (THIRD, 5, 9), (ME, 10, None)), Share()),  # one of two hasn't settled
        (live((OTHER, 0, 11), (THIRD, 5, 12), (ME, 10, None)), Share(2, 3)),
        (live((OTHER, 0, 11), (ME, 10, 12), (THIRD, 20, None)), Share(1, 3)),  # who comes later is not waited for
        (live((OTHER, 10, None), (ME, 10, None)), Share()),  # of two that came together each waits for the other
    ],
)
def test_the_share_of_a_runner(members: Members, share: Share) -> None:
    assert share_of(members, ME) == share


class Runner:
    """A runner that calls: how many calls it has in flight."""

    def __init__(self, governor: Governor) -> None:
        self.governor = governor
        self.calls = 0
        self.most = 0
        self.tasks: list[asyncio.Task[None]] = []

    def want(self, calls: int, limit: int, seconds: float, connection: UUID = ME, run_limit: int = 1000) -> None:
        """Wants so many calls of so many seconds at once."""
        self.tasks += [asyncio.create_task(self._call(limit, seconds, connection, run_limit)) for _ in range(calls)]

    async def _call(self, limit: int, seconds: float, connection: UUID, run_limit: int) -> None:
        async with self.governor.slot((OTHER, run_limit), (connection, limit)) as begin:
            await begin()
            self.calls += 1
            self.most = max(self.most, self.calls)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.calls -= 1


@contextlib.asynccontextmanager
async def runners(database: Database, count: int) -> AsyncIterator[list[Runner]]:
    made = [Runner(Governor(database, f"runner-{number}", LEASE)) for number in range(count)]
    yield made
    tasks = [task for runner in made for task in runner.tasks]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_alone_has_all_and_no_more(database: Database) -> None:
    async with runners(database, 1) as [one]:
        one.want(20, limit=3, seconds=0.05)
        await asyncio.sleep(0.1)
        assert one.calls == 0  # not before the first beat
        await one.governor.beat()
        await asyncio.gather(*one.tasks)
        assert one.most == 3


async def test_the_smaller_of_the_runs_and_the_connections_limit_holds(database: Database) -> None:
    async with runners(database, 1) as [one]:
        await one.governor.beat()
        one.want(10, limit=5, seconds=0.05, run_limit=2)
        await asyncio.gather(*one.tasks)
        assert one.most == 2


async def test_a_newcomer_waits_till_the_others_fit_their_shares(database: Database) -> None:
    async with runners(database, 2) as [old, new]:
        await old.governor.beat()
        old.want(8, limit=4, seconds=30)
        await asyncio.sleep(0.05)
        assert old.calls == 4
        new.want(4, limit=4, seconds=30)
        await new.governor.beat()
        await old.governor.beat()
        await new.governor.beat()
        assert (old.calls, new.calls) == (4, 0)  # what was begun goes on, so nothing is free
        for task in old.tasks[:4]:
            task.cancel()
        await asyncio.sleep(0.05)
        assert (old.calls, new.calls) == (2, 0)
        await old.governor.beat()
        await new.governor.beat()
        await asyncio.sleep(0.05)
        assert (old.calls, new.calls) == (2, 2)


async def test_the_share_of_a_dead_runner_is_free_only_after_its_lease(database: Database) -> None:
    async with runners(database, 2) as [one, dead]:
        for _ in range(3):
            await one.governor.beat()
            await dead.governor.beat()
        one.want(4, limit=4, seconds=30)
        await asyncio.sleep(0.05)
        await one.governor.beat()
        assert one.calls == 2
        async with database.transaction() as connection:
            await connection.execute("UPDATE instances SET lease_until = now() - interval '1 ms' WHERE id = $1", dead.governor.id)
        await one.governor.beat()
        await asyncio.sleep(0.05)
        assert one.calls == 4


async def test_who_leaves_frees_its_share_at_once(database: Database) -> None:
    async with runners(database, 2) as [one, leaving]:
        await one.governor.beat()
        living = asyncio.create_task(leaving.governor.run())

        async def joined() -> bool:
            return len(await rows(database, "SELECT FROM instances")) == 2

        await until(joined)
        await one.governor.beat()
        one.want(2, limit=2, seconds=30)
        await asyncio.sleep(0.05)
        assert one.calls == 1
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        await one.governor.beat()
        await asyncio.sleep(0.05)
        assert one.calls == 2


async def test_no_call_begins_when_the_lease_cannot_be_renewed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(governing, "LOOK_SECONDS", 0.02)
    brief = Governor(database, "brief", timedelta(seconds=0.5))
    begun: list[float] = []

    async def retry() -> None:  # has its slot, and calls again and again
        async with brief.slot((OTHER, 8), (ME, 8)) as begin:
            while True:
                await begin()
                begun.append(asyncio.get_running_loop().time())
                await asyncio.sleep(0.02)

    async def renewed() -> bool:  # one renewal that takes longer than its lease is followed by another
        renewals.append(asyncio.get_running_loop().time())
        await brief.beat()
        await asyncio.sleep(0.1)
        return bool(begun) and begun[-1] > renewals[0]

    task, renewals = asyncio.create_task(retry()), list[float]()
    await until(renewed)
    await asyncio.sleep(0.9)
    late = asyncio.create_task(retry())
    await asyncio.sleep(0.2)
    assert max(begun) - renewals[-1] < 0.5
    assert brief.share(8) == 0
    renewals.clear()
    await until(renewed)
    for each in (task, late):
        each.cancel()
    await asyncio.gather(task, late, return_exceptions=True)


async def test_a_failed_renewal_changes_nothing(database: Database) -> None:
    governor = Governor(database, "g", LEASE)
    await governor.beat()
    good_until = governor._good_until
    async with database.transaction() as connection:
        await connection.execute("ALTER TABLE instances RENAME TO elsewhere")
    try:
        await governor.beat()
    finally:
        async with database.transaction() as connection:
            await connection.execute("ALTER TABLE elsewhere RENAME TO instances")
    assert governor._good_until == good_until
    assert governor.share(1) == 1


async def test_many_that_join_at_once_never_share_out_more_than_the_limit(database: Database) -> None:
    for _ in range(5):
        async with database.transaction() as connection:
            await connection.execute("TRUNCATE instances")
        governors = [Governor(database, f"g{number}", LEASE) for number in range(6)]
        for _ in range(4):
            await asyncio.gather(*(governor.beat() for governor in governors))
            assert sum(governor._allowed(10) for governor in governors) <= 10
        assert sum(governor._allowed(10) for governor in governors) == 10


async def test_calls_are_spaced_for_a_limit_per_minute(database: Database) -> None:
    governor = Governor(database, "g", LEASE)
    await governor.beat()
    since, begun = asyncio.get_running_loop().time(), list[float]()

    async def call() -> None:
        async with governor.slot((OTHER, 8), (ME, 8), per_minute=600) as begin:
            for _ in range(2):  # a retry counts as a call
                await begin()
                begun.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(call() for _ in range(4)))
    assert len(begun) == 8
    assert all(at - since > 0.1 * n - 0.01 for n, at in enumerate(sorted(begun)))  # none early; a machine that pauses makes some late


async def test_who_stops_waiting_leaves_no_slot_behind(database: Database) -> None:
    async with runners(database, 1) as [one]:
        await one.governor.beat()
        one.want(12, limit=2, seconds=0.02)
        await asyncio.sleep(0)
        for round_ in range(8):
            one.tasks[round_].cancel()
            await asyncio.sleep(0.004)
        await asyncio.gather(*one.tasks, return_exceptions=True)
        assert not [task for task in one.tasks if not task.cancelled() and task.exception()]
        assert all(gate.idle for gate in one.governor._gates.values())
        assert one.most <= 2


async def test_a_slot_that_comes_free_while_a_waiter_is_cancelled_goes_to_the_next(database: Database) -> None:
    async with runners(database, 1) as [one]:
        await one.governor.beat()
        one.want(2, limit=1, seconds=30)
        one.want(1, limit=1, seconds=0)
        await asyncio.sleep(0.02)
        one.tasks[0].cancel()
        one.tasks[1].cancel()  # its place in the queue is passed over before it hears of it
        async with asyncio.timeout(20):
            await asyncio.gather(*one.tasks, return_exceptions=True)
        assert [task.cancelled() for task in one.tasks] == [True, True, False]


async def test_callers_that_waited_through_idle_times_count_on_the_same_gate(database: Database) -> None:
    async with runners(database, 1) as [one]:
        one.want(4, limit=2, seconds=0.3)
        await asyncio.sleep(0.02)
        for _ in range(2):
            await one.governor.beat()
        one.want(4, limit=2, seconds=0.3)
        await asyncio.gather(*one.tasks)
        assert one.most == 2


async def test_gates_of_what_is_no_longer_called_are_dropped(database: Database) -> None:
    async with runners(database, 1) as [one]:
        await one.governor.beat()
        for _ in range(50):
            one.want(1, limit=2, seconds=0, connection=new_id())
        await asyncio.gather(*one.tasks)
        await one.governor.beat()
        assert not one.governor._gates
    assert len(await rows(database, "SELECT 1 FROM instances")) == 1
