"""Projecting what is heard into rows. Every handler may be given any event twice, and in any order."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from assay.runner.internal.v1 import runner_pb2
from services.reporting.clients import Runner
from services.reporting.convert import events as convert
from services.reporting.entities.results import Added, CaseRecord, NewResult
from services.reporting.entities.runs import TEST_SET, Cases, Run, Tally, accepted
from services.reporting.operations.closing import close_where_due
from services.reporting.store import executions, results, runs
from shared import inbox
from shared.consumer import Received
from shared.portions import portions
from shared.postgres import Connection, Database, retrying
from shared.topics import CASES_SCORED, RUN_FINISHED, RUN_STARTED

# Of texts that are written at a time; more only if a single result has more.
PIECE_CHARACTERS = 4 << 20

Tell = Callable[[Collection[UUID]], Awaitable[None]]


@dataclass(frozen=True)
class Arrived:
    """What an event tells, by its number; a piece of an event has none."""

    seq: int | None
    results: Sequence[NewResult] = ()
    records: Sequence[CaseRecord] = ()


class Projection:
    """Takes events over into the rows; `tell` is called with the runs that changed, after the commit."""

    def __init__(self, database: Database, runner: Runner, tell: Tell) -> None:
        self._database, self._runner, self._tell = database, runner, tell

    async def runs_started(self, heard: Sequence[Received]) -> None:
        """Runs were accepted."""
        told = {event.seq: accepted(convert.news(event.message.run)) for event in heard}

        async def project() -> None:
            async with self._database.transaction() as connection:
                taken = await inbox.take(connection, RUN_STARTED, list(told))
                await _insert(connection, [told[seq] for seq in taken])

        await retrying(project)
        await self._tell({run.id for run in told.values()})

    async def runs_finished(self, heard: Sequence[Received]) -> None:
        """Runs ended: each closes here and now if its results are all here, else with the last of them."""
        told = {event.seq: (convert.news(event.message.run), convert.ending(event.message)) for event in heard}

        async def project() -> None:
            async with self._database.transaction() as connection:
                taken = await inbox.take(connection, RUN_FINISHED, list(told))
                news = {told[seq][0].id: told[seq] for seq in taken}
                await _insert(connection, [accepted(item) for item, _ in news.values()])
                locked = await runs.lock(connection, list(news))
                await close_where_due(connection, [run.learning(news[run.id][0]).ended(news[run.id][1]) for run in locked.values()])

        await retrying(project)
        await self._tell({news.id for news, _ in told.values()})

    async def cases_scored(self, heard: Sequence[Received]) -> None:
        """Results came. Raises Unavailable, so that they are delivered again, while the runner can't be asked what must be."""
        long = [event for event in heard if convert.long_ords(event.message)]
        short = [event for event in heard if event not in long] if long else heard
        if short:
            await self._write(short, [_arrived(event.seq, event.message) for event in short])
        for event in long:
            await self._write_long(event)

    async def _write_long(self, heard: Received) -> None:
        """Writes an event whose texts must be asked for: piece by piece, for all of them may fill the memory. Its number is taken
        with the last; what was written until a fault is known by its keys when the event comes again.
        """
        event: convert.CasesScored = heard.message
        async with self._database.connection() as connection:
            if not await inbox.untaken(connection, CASES_SCORED, [heard.seq]):
                return
        long = rest = convert.long_ords(event)
        while rest:
            async with self._runner.texts(UUID(event.workspace_id), UUID(event.run_id), rest) as portion:
                if portion.deleted:
                    await self._write([heard], [Arrived(heard.seq)])
                    return
                for piece in _pieces(convert.part(event, set(rest) - set(portion.rest)), portion.texts):
                    await self._write([heard], [piece])
                rest = portion.rest
        others = {case.executed.ord for case in event.cases} - set(long)
        await self._write([heard], [_arrived(heard.seq, convert.part(event, others))])

    async def _write(self, heard: Sequence[Received], arrived: Sequence[Arrived]) -> None:
        """Writes what these events tell, or a piece of it."""
        new = await self._unknown_runs(heard)
        run_ids = {UUID(event.message.run_id) for event in heard}

        async def project() -> None:
            async with self._database.transaction() as connection:
                await _project(connection, arrived, new, run_ids)

        await retrying(project)
        await self._tell(run_ids)

    async def _unknown_runs(self, heard: Sequence[Received]) -> list[Run]:
        """Runs that are heard of for the first time; results say nothing about their run, so the runner is asked."""
        workspaces = {UUID(event.message.run_id): UUID(event.message.workspace_id) for event in heard}
        async with self._database.connection() as connection:
            unknown = await runs.unknown(connection, list(workspaces))
        asked = [await self._runner.read_run(workspaces[run_id], run_id) for run_id in sorted(unknown)]
        return [accepted(news) for news in asked if news is not None]


def _arrived(seq: int, event: convert.CasesScored) -> Arrived:
    return Arrived(seq, list(convert.results(event, {})), list(convert.records(event, {})))


def _pieces(event: convert.CasesScored, told: Mapping[int, runner_pb2.CaseTexts]) -> Iterator[Arrived]:
    """Results a bounded part at a time, since each of a case's repeats its texts. What is known of the cases comes with the first
    of them: the run may close with the last.
    """
    texts = {ord_: convert.texts(each) for ord_, each in told.items()}
    records = list(convert.records(event, texts))
    for rows in portions(convert.results(event, texts), lambda row: row.characters, PIECE_CHARACTERS):
        yield Arrived(None, rows, records)
        records = []


async def _insert(connection: Connection, new: Iterable[Run]) -> None:
    # In one order everywhere, so that two transactions never wait for each other.
    for run in sorted(new, key=lambda run: run.id):
        await runs.insert(connection, run)


async def _project(connection: Connection, arrived: Sequence[Arrived], new: Sequence[Run], run_ids: Collection[UUID]) -> None:
    taken = await inbox.take(connection, CASES_SCORED, [event.seq for event in arrived if event.seq is not None])
    arrived = [event for event in arrived if event.seq is None or event.seq in taken]
    if not arrived:
        return
    await _insert(connection, new)
    locked = {run.id: run for run in (await runs.lock(connection, list(run_ids))).values() if not run.closed}
    # One row per key: an event may tell of a case that another told of already.
    rows = {row.key: row for event in arrived for row in event.results if row.run_id in locked}
    if not rows:
        return
    added = await results.insert(connection, list(rows.values()), list(locked.values()))
    await results.count(connection, added)
    others = {run_id for run_id, run in locked.items() if run.subject.family != TEST_SET}
    cases = await _record(connection, arrived, added, others) if others else {}
    tallies = {run_id: sum((part.tally for part in added if part.run_id == run_id), Tally()) for run_id in locked}
    await close_where_due(connection, [run.with_results(tallies[run_id], cases.get(run_id)) for run_id, run in locked.items()])


async def _record(
    connection: Connection, arrived: Sequence[Arrived], added: Sequence[Added], run_ids: Collection[UUID]
) -> Mapping[UUID, Cases]:
    """Writes what runs of other families than that of test sets have beside results; tells how many cases were new."""
    await executions.count(connection, [part for part in added if part.run_id in run_ids])
    records = [record for event in arrived for record in event.records if record.run_id in run_ids]
    return await executions.record(connection, records) if records else {}
