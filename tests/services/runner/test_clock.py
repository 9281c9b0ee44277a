"""Schedules: at their time, once, whoever fires them and whoever dies meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from assay.catalog.internal.v1 import events_pb2
from services.runner import clock as clocks
from services.runner.clock import Clock
from services.runner.operations import runs as run_operations, schedules as operations
from services.runner.schedules import Schedule, next_time
from services.runner.store import schedules
from shared.consumer import Received
from shared.errors import Invalid, NotFound, Unavailable
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.house import NOW, OURS, Asked, rows, said

MINUTE = timedelta(minutes=1)
AT = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)  # the first full minute after NOW


def told(subject_id: str, cron: str = "* * * * *", revision: int = 1, seq: int = 1, family: str = "assistant_test") -> Received:
    message = events_pb2.ScheduleSet(workspace_id=str(OURS), family=family, subject_id=subject_id, cron=cron, revision=revision)
    return Received(seq, message)


async def hear(database: Database, *events: Received) -> None:
    await operations.hear_schedules_set(database, events, NOW)


async def next_at(database: Database) -> datetime | None:
    [row] = await rows(database, "SELECT next_at FROM schedules")
    found: datetime | None = row["next_at"]
    return found


async def started(database: Database) -> list[tuple[str, str]]:
    """(test, what started it) of every run."""
    found = await rows(database, "SELECT subject_id, triggered_by FROM runs ORDER BY id")
    return [(str(row["subject_id"]), row["triggered_by"]) for row in found]


@pytest.mark.parametrize(
    ("cron", "then"),
    [
        ("* * * * *", AT),
        ("*/15 * * * *", datetime(2026, 1, 2, 3, 15, tzinfo=UTC)),
        ("0 0 * * 1", datetime(2026, 1, 5, tzinfo=UTC)),
        ("what?", None),
        ("", None),
    ],
)
def test_the_next_time_follows_from_the_expression(cron: str, then: datetime | None) -> None:
    assert next_time(cron, NOW) == then


def test_the_next_time_is_always_later() -> None:
    assert next_time("* * * * *", AT) == AT + MINUTE


async def test_a_schedule_fires_at_its_time_and_not_before(database: Database, asked: Asked) -> None:
    test_id, now = asked.subjects.a_subject(), [NOW]
    await hear(database, told(test_id))
    clock = Clock(database, asked.catalog, lambda: now[0])
    now[0] = AT - timedelta(milliseconds=1)
    await clock.look()
    assert await started(database) == []
    now[0] = AT
    for _ in range(2):
        await clock.look()
    assert await started(database) == [(test_id, "cron")]
    assert await next_at(database) == AT + MINUTE
    [event] = await said(database, "runner.run_started")
    assert (event.run.triggered_by, event.run.family) == ("cron", "assistant_test")


async def test_several_processes_fire_it_once_each_time(database: Database, asked: Asked) -> None:
    tests = [asked.subjects.a_subject() for _ in range(12)]
    await hear(database, *(told(test_id, seq=seq) for seq, test_id in enumerate(tests, 1)))
    for now in (AT, AT + MINUTE):
        looking = [Clock(database, asked.catalog, lambda now=now: now) for _ in range(4)]  # type: ignore[misc]
        await asyncio.gather(*(clock.look() for clock in looking))
    assert sorted(await started(database)) == sorted([(test_id, "cron") for test_id in tests] * 2)


async def test_a_process_that_dies_in_the_middle_leaves_it_to_another(database: Database, asked: Asked) -> None:
    await hear(database, told(test_id := asked.subjects.a_subject()))
    [schedule] = await operations.due(database, AT, 10)
    async with database.connection() as dying:
        await dying.transaction().start()
        assert await schedules.move_on(dying, schedule, AT + MINUTE)
        looking = asyncio.create_task(Clock(database, asked.catalog, lambda: AT).look())
        await asyncio.sleep(0.3)
        assert not looking.done(), "it must wait for the one that is about to fire"
        await rows(database, "SELECT pg_terminate_backend($1)", dying.get_server_pid())
        await looking
    assert await started(database) == [(test_id, "cron")]


async def test_times_that_were_missed_are_made_up_for_once(database: Database, asked: Asked) -> None:
    await hear(database, told(asked.subjects.a_subject()))
    late = AT + timedelta(hours=5, seconds=7)
    for _ in range(3):
        await Clock(database, asked.catalog, lambda: late).look()
    assert len(await started(database)) == 1
    assert await next_at(database) == late.replace(second=0) + MINUTE


async def test_running_clocks_fire_once_and_not_before_their_time(database: Database, asked: Asked) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    async with database.transaction() as connection:
        await schedules.put(connection, Schedule(OURS, "assistant_test", asked.subjects.a_subject(), "0 0 1 1 *", 1, soon))
    ticking = [asyncio.create_task(Clock(database, asked.catalog, lambda: datetime.now(UTC)).run()) for _ in range(2)]
    for _ in range(200):
        await asyncio.sleep(0.1)
        if await rows(database, "SELECT FROM runs"):
            break
    await asyncio.sleep(1)  # for one that would fire a second time
    for task in ticking:
        task.cancel()
    await asyncio.gather(*ticking, return_exceptions=True)
    [row] = await rows(database, "SELECT created_at FROM runs")
    assert row["created_at"] >= soon


async def test_a_suite_fires_all_its_tests_that_can_run(database: Database, asked: Asked) -> None:
    tests = [asked.subjects.a_subject() for _ in range(2)]
    asked.subjects.suites["nightly"] = [tests[0], str(new_id()), tests[1]]
    await hear(database, told("nightly", family="suite"))
    await Clock(database, asked.catalog, lambda: AT).look()
    assert await started(database) == [(test_id, "cron") for test_id in tests]
    shared = {row["id"] for row in await rows(database, "SELECT details->>'test_suite_run_id' AS id FROM runs")}
    assert len(shared) == 1
    assert UUID(shared.pop())


async def test_an_older_revision_never_undoes_a_newer_one(database: Database, asked: Asked) -> None:
    test_id = asked.subjects.a_subject()
    await hear(database, told(test_id, "0 0 * * *", 2, 1), told(test_id, "* * * * *", 1, 2))
    assert await next_at(database) == datetime(2026, 1, 3, tzinfo=UTC)
    await hear(database, told(test_id, "", 4, 3), told(test_id, "* * * * *", 3, 4))
    assert await next_at(database) is None
    await hear(database, told(test_id, "* * * * *", 5, 4))
    assert await next_at(database) is None, "that event was heard before"


@pytest.mark.parametrize(("suite", "ends"), [(False, True), (True, False)])
async def test_a_test_that_is_gone_ends_its_schedule_and_a_suite_may_come_again(
    database: Database, asked: Asked, *, suite: bool, ends: bool
) -> None:
    await hear(database, told("nightly", family="suite") if suite else told(str(new_id())))
    await Clock(database, asked.catalog, lambda: AT).look()
    assert await started(database) == []
    assert await next_at(database) == (None if ends else AT + MINUTE)


async def test_a_deleted_test_ends_its_schedule_at_once(database: Database, asked: Asked) -> None:
    test_id = asked.subjects.a_subject()
    await hear(database, told(test_id))
    await run_operations.forget_subject(database, OURS, UUID(test_id), NOW)
    assert await next_at(database) is None


@pytest.mark.parametrize("refusal", [Invalid({"destination": "the assistant was deleted"}), NotFound("connection")])
async def test_what_is_refused_is_skipped_until_the_next_time(database: Database, asked: Asked, refusal: Exception) -> None:
    await hear(database, told(asked.subjects.a_subject()))
    asked.subjects.refusal = refusal
    await Clock(database, asked.catalog, lambda: AT).look()
    assert (await started(database), await next_at(database)) == ([], AT + MINUTE)


async def test_a_catalog_that_is_away_is_waited_for(database: Database, asked: Asked) -> None:
    await hear(database, told(test_id := asked.subjects.a_subject()))
    asked.subjects.refusal = Unavailable("away")
    await Clock(database, asked.catalog, lambda: AT).look()
    assert (await started(database), await next_at(database)) == ([], AT)
    asked.subjects.refusal = None
    await Clock(database, asked.catalog, lambda: AT).look()
    assert await started(database) == [(test_id, "cron")]


async def test_what_fails_in_a_way_nobody_foresaw_is_not_tried_for_ever(database: Database, asked: Asked) -> None:
    test_id = str(new_id())
    asked.subjects.held[test_id] = []
    await hear(database, told(test_id))
    await Clock(database, asked.catalog, lambda: AT).look()
    assert await next_at(database) == AT + MINUTE
    assert clocks.EVERY_SECONDS < 1
