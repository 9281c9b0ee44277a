"""What the runner's tests stand on: runs to execute, and the neighbours that it asks, in this process."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc

from assay.catalog.internal.v1 import catalog_pb2, catalog_pb2_grpc, subjects_pb2_grpc
from assay.reporting.internal.v1 import reporting_pb2, reporting_pb2_grpc
from assay.runner.internal.v1 import events_pb2
from assay.scoring.internal.v1 import events_pb2 as scoring_events
from services.runner.clients import Catalog, Reporting
from services.runner.entities import RUNNING, ClaimedCase, Executed, Range, Run, Target
from services.runner.operations import dispatch, execution
from services.runner.operations.completion import Completion
from services.runner.store import cases, runs
from shared.channels import ServiceIdentity
from shared.consumer import Received
from shared.errors import NotFound
from shared.identity import Credential, Identifier, Principal, workspace
from shared.ids import new_id
from shared.interceptors import Boundary
from shared.postgres import Database
from shared.topics import TOPICS
from tests.services.runner.subjects import Subjects

SERVICE_KEY = "service key of the tests, 32 bytes and more"
OURS, THEIRS = new_id(), new_id()
LEASE = timedelta(seconds=15)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TABLES = "runs, run_cases, tickets, calls, schedules, instances, removals, outbox, outbox_heads, outbox_readers, inbox, inbox_watermarks, idempotency_keys"


def a_target(**said: Any) -> Target:
    """An echo, unless said otherwise."""
    default = Target(new_id(), "builtin", "", "echo", "", {}, max_concurrency=8, requests_per_minute=0, timeout_ms=20_000)
    return replace(default, **said)


def a_run(case_count: int = 10, repeats: int = 1, **said: Any) -> Run:
    """A pending run."""
    default = Run(
        id=new_id(),
        workspace_id=OURS,
        subject_id=new_id(),
        target_id=new_id(),
        revision=3,
        mode="independent",
        language="en",
        target=a_target(),
        state="pending",
        triggered_by="api",
        tags=("nightly",),
        case_count=case_count,
        repeats=repeats,
        total_cases=case_count * repeats,
        slots=8,
        created_at=NOW,
    )
    return replace(default, **said)


def a_case(number: int) -> catalog_pb2.Case:
    return catalog_pb2.Case(
        id=str(UUID(int=number)),
        question=f"question {number}",
        expected=f"answer {number}",
        test_method="exact_match",
        passing_score=0.5,
        keywords=["k"],
    )


async def inserted(database: Database, run: Run) -> Run:
    async with database.transaction() as connection:
        await runs.insert(connection, run)
    return run


async def running(database: Database, case_count: int = 10, repeats: int = 1, plan: Any = None, **said: Any) -> Run:
    """A frozen run with its first tickets out; `plan` is that of every case."""
    run = await inserted(database, a_run(case_count, repeats, **said))
    records: list[tuple[Any, ...]] = [
        (
            run.id,
            (repeat - 1) * case_count + place,
            UUID(int=place),
            repeat,
            f"question {place}",
            "",
            "exact_match",
            0.5,
            [],
            None,
            None,
            plan,
            False,
        )
        for repeat in range(1, repeats + 1)
        for place in range(case_count)
    ]
    async with database.transaction() as connection:
        await cases.freeze(connection, records)
        await connection.execute("UPDATE runs SET state = 'running', started_at = now() WHERE id = $1", run.id)
        await dispatch.fill_window(connection, run.id)
    return replace(run, state=RUNNING)


async def claim(database: Database, run: Run, first: int = 0, last: int | None = None, lease: timedelta = LEASE) -> list[ClaimedCase]:
    """Claims a range, all of the run by default."""
    whole = Range(first, run.total_cases - 1 if last is None else last)
    return (await execution.claim(database, run.id, [whole], lease))[1]


def answered(claimed: Sequence[ClaimedCase], output: str = "out") -> list[Executed]:
    return [Executed(case, output, None, 5, 1) for case in claimed]


async def expire(database: Database, run: Run) -> None:
    """Ends every lease of a run."""
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE run_cases SET lease_until = now() - interval '1 second' WHERE run_id = $1 AND state = 'leased'", run.id
        )


async def expire_tickets(database: Database) -> None:
    """Makes every ticket overdue."""
    async with database.transaction() as connection:
        await connection.execute("UPDATE tickets SET issued_at = now() - interval '1 hour'")


async def states(database: Database, run: Run) -> list[str]:
    return [row["state"] for row in await rows(database, "SELECT state FROM run_cases WHERE run_id = $1 ORDER BY ord", run.id)]


async def state(database: Database, run: Run) -> str:
    return str((await rows(database, "SELECT state FROM runs WHERE id = $1", run.id))[0]["state"])


async def rows(database: Database, query: str, *arguments: object) -> list[Any]:
    async with database.connection() as connection:
        return await connection.fetch(query, *arguments)


async def said(database: Database, topic: str) -> list[Any]:
    """The messages of a topic in the outbox, in order."""
    found = await rows(database, "SELECT payload FROM outbox WHERE topic = $1 ORDER BY id", topic)
    return [TOPICS[topic].message.FromString(row["payload"]) for row in found]


async def tickets_out(database: Database, run: Run) -> list[tuple[int, int, int]]:
    """(first ord, last ord, epoch) of a run's tickets."""
    found = await rows(database, "SELECT first_ord, last_ord, epoch FROM tickets WHERE run_id = $1 ORDER BY first_ord", run.id)
    return [(row["first_ord"], row["last_ord"], row["epoch"]) for row in found]


def scores(run: Run, ords: Sequence[int], seq: int, status: str = "passed") -> Received:
    """What scoring says of executed cases."""
    scored = [
        scoring_events.ScoredCase(executed=events_pb2.ExecutedCase(ord=ord_), scores=[scoring_events.Score(status=status)]) for ord_ in ords
    ]
    return Received(seq, scoring_events.CasesScored(run_id=str(run.id), cases=scored))


async def execute_and_score(database: Database, run: Run, completion: Completion, seq: int = 1) -> None:
    """Everything that is queued, from claim to score."""
    claimed = await claim(database, run)
    await execution.record(database, run, answered(claimed))
    await completion.hear_scored([scores(run, [case.ord for case in claimed], seq)])


@dataclass
class Neighbours(catalog_pb2_grpc.CatalogInternalServiceServicer, reporting_pb2_grpc.ReportingInternalServiceServicer):
    """Stands where catalog and reporting stand: one test set of one workspace."""

    cases: list[catalog_pb2.Case] = field(default_factory=lambda: [a_case(number) for number in range(10)])
    mode: str = "independent"
    target: catalog_pb2.Target = field(
        default_factory=lambda: catalog_pb2.Target(
            connection_id=str(new_id()), kind="builtin", model="echo", max_concurrency=8, timeout_ms=1000
        )
    )
    api_key: str = "sk-secret"
    refusal: Exception | None = None
    connections: dict[str, catalog_pb2.ConnectionAccess] = field(default_factory=dict)  # beside the target's
    batch: int = 4
    streamed: int = 0
    streaming: Callable[[], Awaitable[None]] | None = None  # awaited when all cases were streamed
    forgotten: list[str] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)  # runs of which reporting waits for results

    async def ResolveTarget(self, request: Any, context: Any) -> catalog_pb2.ResolvedTarget:  # noqa: ARG002
        if workspace() != OURS:
            raise NotFound("test set")
        return catalog_pb2.ResolvedTarget(revision=3, case_count=len(self.cases), mode=self.mode, language="en", target=self.target)

    async def StreamCases(self, request: Any, context: Any) -> AsyncIterator[catalog_pb2.CaseBatch]:  # noqa: ARG002
        self.streamed += 1
        for first in range(0, len(self.cases), self.batch):
            yield catalog_pb2.CaseBatch(cases=self.cases[first : first + self.batch])
        if self.streaming is not None:
            await self.streaming()
        if self.refusal is not None:
            raise self.refusal

    async def ReadConnection(self, request: Any, context: Any) -> catalog_pb2.ConnectionAccess:  # noqa: ARG002
        if self.refusal is not None:
            raise self.refusal
        target = catalog_pb2.ConnectionAccess(base_url=self.target.base_url, api_key=self.api_key)
        return self.connections.get(request.connection_id, target)

    async def Forget(self, request: Any, context: Any) -> reporting_pb2.ForgetResponse:  # noqa: ARG002
        self.forgotten += request.run_ids
        return reporting_pb2.ForgetResponse()

    async def ListSettledRuns(self, request: Any, context: Any) -> reporting_pb2.ListSettledRunsResponse:  # noqa: ARG002
        if self.refusal is not None:
            raise self.refusal
        ours = [run_id for run_id in request.run_ids if workspace() == OURS and run_id not in self.unread]
        return reporting_pb2.ListSettledRunsResponse(run_ids=ours)


@dataclass(frozen=True)
class Asked:
    """The neighbours, and the runner's own clients that ask them."""

    neighbours: Neighbours
    catalog: Catalog
    reporting: Reporting
    subjects: Subjects


async def _nobody(_credential: Credential) -> Principal | None:
    return None


@contextlib.asynccontextmanager
async def neighbourhood() -> AsyncIterator[Asked]:
    """The neighbours, served behind the real boundary."""
    neighbours = Neighbours()  # type: ignore[abstract]  # only what the runner calls
    server = grpc.aio.server(interceptors=[Boundary(Identifier((), SERVICE_KEY, _nobody))])
    catalog_pb2_grpc.add_CatalogInternalServiceServicer_to_server(neighbours, server)
    subjects = Subjects(OURS)
    subjects_pb2_grpc.add_SubjectInternalServiceServicer_to_server(subjects, server)
    reporting_pb2_grpc.add_ReportingInternalServiceServicer_to_server(neighbours, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    identity = ServiceIdentity("runner", SERVICE_KEY)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Asked(neighbours, Catalog(channel, identity), Reporting(channel, identity), subjects)
        await server.stop(None)
