"""The limits of a judge's connection over all scoring processes, on real Postgres."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from services.scoring import store
from services.scoring.entities import Endpoint
from services.scoring.slots import Slots
from shared.ids import new_id
from shared.postgres import Connection, Database, open_pool
from tests.servers import PostgresServer
from tests.shared.waiting import until

LEASE = timedelta(seconds=30)


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.create(["scoring"])["scoring"]


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(await open_pool(url, 8))
    async with database.connection() as connection:
        await connection.execute("TRUNCATE judging_processes")
    yield database
    await database.close()


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(f"http://judge/{new_id()}", "m", max_concurrency=4)


class Judging:
    """Processes that judge, and how many calls they have in flight together and each.

    No call ends before there were more than `enough` at once, so that they meet however slowly one of them begins.
    """

    def __init__(self, *slots: Slots, enough: float = 0) -> None:
        self.slots, self.enough = slots, enough
        self.now = self.most = 0
        self.most_of = dict.fromkeys(slots, 0)
        self.calls = dict.fromkeys(slots, 0)
        self._now_of = dict.fromkeys(slots, 0)

    async def call(self, slots: Slots, endpoint: Endpoint, seconds: float = 0.1) -> None:
        async with slots.slot(endpoint):
            self.calls[slots] += 1
            self.now += 1
            self._now_of[slots] += 1
            self.most = max(self.most, self.now)
            self.most_of[slots] = max(self.most_of[slots], self._now_of[slots])
            await until(lambda: self.most > self.enough)
            await asyncio.sleep(seconds)
            self.now -= 1
            self._now_of[slots] -= 1


async def live(database: Database, count: int, lease: timedelta = LEASE) -> list[Slots]:
    """So many processes that have joined."""
    made = [Slots(database, lease) for _ in range(count)]
    for each in made:
        await each.beat()
    return made


async def takes_one(slots: Slots, endpoint: Endpoint, within: float = 0.3) -> bool:
    """Whether a call may begin in that time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within), slots.slot(endpoint):
            return True
    return False


@pytest.mark.parametrize(("processes", "limit", "share"), [(1, 4, 4), (2, 4, 2), (2, 3, 2), (3, 4, 2), (2, 1, 1)])
async def test_all_together_keep_the_limit_and_each_its_share(database: Database, processes: int, limit: int, share: int) -> None:
    endpoint = Endpoint(f"http://judge/{new_id()}", "m", max_concurrency=limit)
    judging = Judging(*await live(database, processes), enough=limit / 2)
    await asyncio.gather(*(judging.call(slots, endpoint) for slots in judging.slots for _ in range(8)))
    assert judging.most <= limit
    assert set(judging.most_of.values()) <= set(range(1, share + 1))
    assert set(judging.calls.values()) == {8}


async def test_what_a_dead_process_held_is_free_once_its_lease_has_run_out(database: Database, endpoint: Endpoint) -> None:
    [dead] = await live(database, 1)
    [alive] = await live(database, 1)
    async with contextlib.AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(dead.slot(endpoint))
        async with alive.slot(endpoint), alive.slot(endpoint):
            assert not await takes_one(alive, endpoint)
            async with database.connection() as connection:
                await connection.execute("UPDATE judging_processes SET lease_until = now() - interval '1 s' WHERE id = $1", dead.id)
            async with alive.slot(endpoint), alive.slot(endpoint):
                assert not await takes_one(alive, endpoint)
        assert not await takes_one(dead, endpoint)  # without a lease no call begins
    async with alive.slot(endpoint), alive.slot(endpoint), alive.slot(endpoint), alive.slot(endpoint):
        pass


async def test_a_slot_whose_release_was_lost_is_free_to_its_own_process(database: Database, endpoint: Endpoint) -> None:
    [slots] = await live(database, 1)
    key = (await first_key(database, slots, endpoint), 4)
    async with database.connection() as connection:
        taken = [await store.take_slot(connection, key, slots.id, range(1, 1)) for _ in range(20)]
        assert {slot.number for slot in taken if slot} <= {1, 2, 3, 4}  # never None, though it gave none back
        assert None not in taken
        assert await store.take_slot(connection, key, slots.id, {1, 2, 3, 4}) is None
    assert await takes_one(slots, endpoint, within=10)


async def test_what_is_held_is_not_taken_again_though_its_row_is_gone(database: Database, endpoint: Endpoint) -> None:
    [slots] = await live(database, 1)
    key = await first_key(database, slots, endpoint)
    async with database.connection() as connection:
        taken = [await store.take_slot(connection, (key, 2), slots.id, {1}) for _ in range(20)]
        assert [slot and slot.number for slot in taken] == [2] * 20


async def test_a_release_that_comes_late_frees_nobody_elses_slot(database: Database, endpoint: Endpoint) -> None:
    [slots] = await live(database, 1)
    key = await first_key(database, slots, endpoint)
    async with database.connection() as connection:
        first, second = [await store.take_slot(connection, (key, 1), slots.id, ()) for _ in range(2)]
        assert first is not None
        assert second is not None
        await store.free_slot(connection, key, first, slots.id)
        assert await store.slots_of(connection, key, slots.id) == [second]
        await store.free_slot(connection, key, second, slots.id)
        assert await store.slots_of(connection, key, slots.id) == []


class Lagging(Database):
    """Answers those who are `late` only once it may: what they asked for has taken effect by then."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self.late: set[asyncio.Task[None] | None] = set()
        self.may = asyncio.Event()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with super().connection() as connection:
            yield connection
        if asyncio.current_task() in self.late:
            await self.may.wait()


@pytest.fixture
async def lagging(url: str, database: Database) -> AsyncIterator[Lagging]:  # noqa: ARG001 it is emptied first
    lagging = Lagging(await open_pool(url, 8))
    yield lagging
    await lagging.close()


async def hold(slots: Slots, endpoint: Endpoint, ends: asyncio.Event) -> None:
    async with slots.slot(endpoint):
        await ends.wait()


async def rows_of(database: Database, slots: Slots) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM judge_slots WHERE holder = $1", slots.id))


async def until_rows(database: Database, slots: Slots, count: int) -> None:
    async with asyncio.timeout(20):
        while await rows_of(database, slots) != count:  # noqa: ASYNC110 rows have no event
            await asyncio.sleep(0.01)


async def test_a_slot_that_is_being_freed_is_not_taken_before_its_process_knows(lagging: Lagging, endpoint: Endpoint) -> None:
    endpoint = replace(endpoint, max_concurrency=1)
    [slots] = await live(lagging, 1)
    first_ends, second_ends = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(hold(slots, endpoint, first_ends))
    await until_rows(lagging, slots, 1)
    lagging.late.add(first)
    first_ends.set()
    await until_rows(lagging, slots, 0)
    second = asyncio.create_task(hold(slots, endpoint, second_ends))
    await asyncio.sleep(0.2)  # long enough for a hasty one
    lagging.may.set()
    await first
    await until_rows(lagging, slots, 1)
    assert not await takes_one(slots, endpoint)
    second_ends.set()
    await second
    assert await takes_one(slots, endpoint, within=10)


async def test_a_slot_that_was_taken_as_its_call_was_cancelled_is_freed_for_others(lagging: Lagging, endpoint: Endpoint) -> None:
    endpoint = replace(endpoint, max_concurrency=1)
    [slots, others] = await live(lagging, 2)
    call = asyncio.create_task(hold(slots, endpoint, asyncio.Event()))
    lagging.late.add(call)
    await until_rows(lagging, slots, 1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert not await takes_one(others, endpoint)
    await slots.tidy()
    assert await takes_one(others, endpoint, within=10)
    assert await takes_one(slots, endpoint, within=10)


async def test_a_release_that_was_cancelled_is_made_up_for(lagging: Lagging, endpoint: Endpoint) -> None:
    [slots] = await live(lagging, 1)
    ends = asyncio.Event()
    call = asyncio.create_task(hold(slots, endpoint, ends))
    await until_rows(lagging, slots, 1)
    async with lagging.transaction() as connection:
        await connection.execute("SELECT FROM judge_slots WHERE holder = $1 FOR UPDATE", slots.id)
        ends.set()
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert await rows_of(lagging, slots) == 1
    await slots.tidy()
    assert await rows_of(lagging, slots) == 0


async def test_whoever_looks_for_a_slot_tidies_up_first(lagging: Lagging, endpoint: Endpoint) -> None:
    [slots] = await live(lagging, 1)
    calls = [asyncio.create_task(hold(slots, endpoint, asyncio.Event())) for _ in range(3)]
    await until_rows(lagging, slots, 3)
    async with lagging.transaction() as connection:
        await connection.execute("SELECT FROM judge_slots WHERE holder = $1 FOR UPDATE", slots.id)
        for _ in range(2):  # given up, and so are their releases, which wait for this transaction
            for call in calls:
                call.cancel()
            await asyncio.sleep(0.1)
        await asyncio.gather(*calls, return_exceptions=True)
    async with slots.slot(endpoint):
        assert await rows_of(lagging, slots) == 1


async def first_key(database: Database, slots: Slots, endpoint: Endpoint) -> str:
    """The name under which an endpoint's slots are kept."""
    async with slots.slot(endpoint), database.connection() as connection:
        return str(await connection.fetchval("SELECT endpoint FROM judge_slots WHERE holder = $1", slots.id))


async def test_a_call_that_is_given_up_while_it_waits_leaves_nothing_behind(database: Database, endpoint: Endpoint) -> None:
    [slots] = await live(database, 1)
    async with contextlib.AsyncExitStack() as held:
        for _ in range(4):
            await held.enter_async_context(slots.slot(endpoint))
        assert not await takes_one(slots, endpoint, within=0.1)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM judge_slots WHERE holder = $1", slots.id) == 0
    assert await takes_one(slots, endpoint, within=10)


async def test_endpoints_and_keys_have_limits_of_their_own(database: Database, endpoint: Endpoint) -> None:
    [slots] = await live(database, 1)
    one = Endpoint(endpoint.base_url, "m", max_concurrency=1)
    async with slots.slot(one):
        assert await takes_one(slots, Endpoint(endpoint.base_url, "m", "another key", max_concurrency=1), within=10)
        assert not await takes_one(slots, Endpoint(endpoint.base_url, "another model", max_concurrency=1))


async def test_calls_a_minute_are_spaced_over_all_processes(database: Database, endpoint: Endpoint) -> None:
    apart = timedelta(seconds=10)
    async with database.connection() as connection, database.connection() as another:
        waits = [await store.pace(each, endpoint.base_url, apart) for each in (connection, another, connection, another)]
    assert waits == [pytest.approx(10 * number, abs=5) for number in range(4)]


async def test_one_that_leaves_gives_its_share_to_the_others(database: Database, endpoint: Endpoint) -> None:
    [staying] = await live(database, 1)
    leaving = Slots(database, LEASE)
    task = asyncio.create_task(leaving.run())
    async with asyncio.timeout(20):
        while not await takes_one(leaving, endpoint):
            pass
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with staying.slot(endpoint), staying.slot(endpoint), staying.slot(endpoint), staying.slot(endpoint):
        pass
