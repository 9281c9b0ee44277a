"""What scoring does: executed cases in, scores out, each once."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import asyncpg
from prometheus_client import Counter

from assay.runner.internal.v1 import events_pb2
from services.scoring import convert, portions, store
from services.scoring.clients import Catalog
from services.scoring.entities import Judging
from services.scoring.tries import MAX_TRIES, Tries
from services.scoring.verdicts import Judges, Verdicts, given_up
from shared import inbox, outbox, tracing
from shared.consumer import Received
from shared.errors import Unavailable
from shared.long_texts import LongTexts
from shared.outbox import Event
from shared.postgres import OUTAGES, Database, retrying
from shared.slices import slice_by_slice
from shared.topics import CASES_EXECUTED, CASES_SCORED, RUN_DELETED

REMOVE_ROWS = 20_000
SCORED = Counter("assay_cases_scored", "Cases that this process scored, error scores included.")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What scoring needs."""

    database: Database
    judges: Judges
    catalog: Catalog
    long_texts: LongTexts
    tries: Tries
    clock: Callable[[], datetime]


@dataclass(frozen=True)
class _Work:
    event: Received
    judging: Judging

    @property
    def slow(self) -> bool:
        """Whether a judge will be waited for."""
        return self.judging.judge is not None


async def score_executed(parts: Parts, events: Sequence[Received]) -> None:
    """Scores the events that had no effect yet. What a judge is asked commits event by event, all else together."""
    async with parts.database.connection() as connection:
        fresh = await inbox.untaken(connection, CASES_EXECUTED, [event.seq for event in events])
    # After a pause NATS may hand over an event twice at once.
    once = {event.seq: event for event in events if event.seq in fresh}
    works = [_Work(event, await _judging(parts, event.message)) for event in once.values()]
    suspected = await parts.tries.suspected(_again(works))
    trusted = [work for work in works if work.event.seq not in suspected]
    quick = [work for work in trusted if not work.slow]
    if quick:
        await _score(parts, quick)
    # All are waited for, so that one that fails takes none of the others with it.
    outcomes = await asyncio.gather(*(_score(parts, [work]) for work in trusted if work.slow), return_exceptions=True)
    for work in works:
        if work.event.seq in suspected:
            outcomes += await asyncio.gather(_score_alone(parts, work), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def _again(works: Sequence[_Work]) -> list[int]:
    """The numbers of the events that may have been tried before: all but what NATS delivers for the first time."""
    return [work.event.seq for work in works if work.event.deliveries != 1]


async def _judging(parts: Parts, event: events_pb2.CasesExecuted) -> Judging:
    if not parts.judges.asks(event):
        return Judging()
    return await parts.catalog.judging(UUID(event.workspace_id))


async def _score_alone(parts: Parts, work: _Work) -> None:
    async with parts.tries.alone:
        await _score(parts, [work])


async def _score(parts: Parts, works: Sequence[_Work]) -> None:
    async with parts.tries.counted(_again(works)) as worn:
        verdicts = [await _verdicts(parts, work, tired=work.event.seq in worn) for work in works]
        SCORED.inc(await retrying(lambda: _write(parts, works, verdicts)))


async def _verdicts(parts: Parts, work: _Work, *, tired: bool) -> Verdicts:
    """The verdicts on every case of an event, in order; at least one on each."""
    event = work.event.message
    if tired:
        return given_up(event, MAX_TRIES)
    with tracing.of_run(event.run_id):
        return await portions.verdicts(parts.judges, parts.long_texts, event, work.judging)


async def _write(parts: Parts, works: Sequence[_Work], verdicts: Sequence[Verdicts]) -> int:
    """How many cases were fresh, and so took effect."""
    now = parts.clock()
    async with parts.database.transaction() as connection:
        taken = await inbox.take(connection, CASES_EXECUTED, [work.event.seq for work in works])
        fresh = [(work.event.message, found) for work, found in zip(works, verdicts, strict=True) if work.event.seq in taken]
        for workspace, group in itertools.groupby(fresh, key=lambda pair: pair[0].workspace_id):
            rows = [row for event, found in group for row in convert.scored(event.run_id, event.cases, found)]
            await store.insert_scores(connection, UUID(workspace), rows, now)
        events = [message for event, found in fresh for message in convert.cases_scored(event, found, now)]
        await outbox.append(connection, [Event(CASES_SCORED, message) for message in events])
        if again := _again(works):
            await store.forget_tries(connection, again)
    return sum(len(event.cases) for event, _ in fresh)


async def hear_runs_deleted(database: Database, events: Sequence[Received]) -> None:
    """Marks the scores of deleted runs for removal."""
    async with database.transaction() as connection:
        fresh = await inbox.take(connection, RUN_DELETED, [event.seq for event in events])
        for event in events:
            if event.seq in fresh:
                await store.remove_run(connection, UUID(event.message.run_id))


async def remove_deleted(database: Database, every_seconds: float) -> None:
    """Removes what deleted runs left behind, slice by slice, until cancelled."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await slice_by_slice(partial(_remove_slice, database))
        except (Unavailable, asyncpg.PostgresError, *OUTAGES) as outage:
            log.warning("removing is waiting", extra={"fault": repr(outage)[:300]})


async def _remove_slice(database: Database) -> bool:
    async with database.transaction() as connection:
        removed = await store.remove_slice(connection, REMOVE_ROWS)
        await store.remove_outdated(connection, REMOVE_ROWS)
    return removed == REMOVE_ROWS
