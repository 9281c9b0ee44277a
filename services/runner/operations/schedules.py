"""Schedules: heard from the catalog, and fired once each time, by whichever process moves them on."""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import grpc

from assay.runner.v1 import assistant_test_runs_pb2 as pb
from services.runner.clients import Catalog
from services.runner.convert import assistant_tests as convert
from services.runner.operations import opening
from services.runner.operations.assistant_tests import CRON
from services.runner.operations.freezing import AWAY
from services.runner.operations.opening import Accepting
from services.runner.schedules import SUITE, Schedule, next_time
from services.runner.store import schedules
from services.runner.subjects import Opened
from shared import inbox
from shared.consumer import Received
from shared.errors import DomainError
from shared.ids import new_id
from shared.postgres import Database, retrying
from shared.topics import SCHEDULE_SET

log = logging.getLogger(__name__)


async def hear_schedules_set(database: Database, events: Sequence[Received], now: datetime) -> None:
    """Takes over what the catalog says; an older revision never undoes a newer one."""
    async with database.transaction() as connection:
        fresh = await inbox.take(connection, SCHEDULE_SET, [event.seq for event in events])
        for event in events:
            if event.seq not in fresh:
                continue
            said = event.message
            next_at = next_time(said.cron, now) if said.cron else None
            told = Schedule(UUID(said.workspace_id), said.family, said.subject_id, said.cron, said.revision, next_at)
            await schedules.put(connection, told)


async def due(database: Database, now: datetime, most: int) -> list[Schedule]:
    """What is to fire by now."""
    async with database.connection() as connection:
        return await schedules.due(connection, now, most)


async def fire(database: Database, catalog: Catalog, schedule: Schedule, now: datetime) -> list[UUID]:
    """Starts what a schedule is for, and moves it on to its next time after now, in one transaction; returns the runs.

    Times that were missed are not made up for. None if another process fired it, or if what it is for is refused. Passes on
    that the catalog is away: then it stays due.
    """
    opened, over = await _opened(catalog, schedule)
    details = {convert.SUITE_RUN: str(new_id())} if schedule.family == SUITE else {}
    accepting = Accepting(schedule.workspace_id, CRON, now, details)
    next_at = None if over else next_time(schedule.cron, now)

    async def begin() -> list[UUID]:
        async with database.transaction() as connection:
            if not await schedules.move_on(connection, schedule, next_at):
                return []
            return [(await opening.begin(connection, each, accepting)).id for each in opened]

    return await retrying(begin)


async def skip(database: Database, schedule: Schedule, now: datetime) -> None:
    """Moves a schedule on without firing it."""
    async with database.transaction() as connection:
        await schedules.move_on(connection, schedule, next_time(schedule.cron, now))


async def _opened(catalog: Catalog, schedule: Schedule) -> tuple[list[Opened], bool]:
    """What there is to run, and whether the schedule is over: its test is gone. A suite may get tests again."""
    workspace, opened = schedule.workspace_id, []
    try:
        suite = schedule.family == SUITE
        tests = await catalog.suite(workspace, schedule.subject_id) if suite else [UUID(schedule.subject_id)]
    except grpc.aio.AioRpcError as fault:
        _pass_on(fault, schedule)
        return [], False
    for test_id in tests:
        try:
            opened.append(await opening.read(catalog, workspace, convert.wanted(test_id, pb.TestRunOptions())))
        except grpc.aio.AioRpcError as fault:
            _pass_on(fault, schedule)
            if not suite and await _gone(catalog, schedule):
                return [], True
        except DomainError as no:
            log.warning("a scheduled test can't be run", extra={"subject_id": str(test_id), "fault": no.message})
    return opened, False


async def _gone(catalog: Catalog, schedule: Schedule) -> bool:
    """Whether the test itself is unknown; what it needs may only be missing for a while."""
    try:
        await catalog.check(schedule.workspace_id, schedule.family, schedule.subject_id)
    except grpc.aio.AioRpcError as fault:
        return fault.code() == grpc.StatusCode.NOT_FOUND
    return False


def _pass_on(fault: grpc.aio.AioRpcError, schedule: Schedule) -> None:
    """Raises what may pass; a refusal is logged."""
    if fault.code() in AWAY:
        raise fault
    log.warning("a schedule found nothing to run", extra={"subject_id": schedule.subject_id, "fault": fault.details() or ""})
