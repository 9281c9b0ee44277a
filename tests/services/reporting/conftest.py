"""Reporting on real Postgres, with peers that are real gRPC servers."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import pytest

from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub, add_CatalogInternalServiceServicer_to_server
from assay.catalog.internal.v1.subjects_pb2_grpc import SubjectInternalServiceStub, add_SubjectInternalServiceServicer_to_server
from assay.runner.internal.v1.runner_pb2_grpc import RunnerInternalServiceStub, add_RunnerInternalServiceServicer_to_server
from services.reporting.clients import Catalog, Runner
from services.reporting.entities.runs import Run
from services.reporting.operations.forgetting import Forgetting
from services.reporting.operations.learning import Learning
from services.reporting.operations.projection import Projection
from services.reporting.operations.reading import Reading
from services.reporting.store import events, results, runs
from shared.channels import ServiceIdentity, open_channel
from shared.pages import PageRequest
from shared.postgres import Database, open_pool
from tests.servers import PostgresServer
from tests.services.reporting.builders import Facts, Numbers
from tests.services.reporting.peers import SERVICE_KEY, CatalogPeer, RunnerPeer, peers as two_peers, serving


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.create(["reporting"])["reporting"]


@pytest.fixture
async def pool(url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(url, 8)
    # Numbers of events begin anew in every test.
    await pool.execute("TRUNCATE inbox, inbox_watermarks")
    yield pool
    await pool.close()


@pytest.fixture
def database(pool: asyncpg.Pool) -> Database:
    return Database(pool)


@dataclass
class Peers:
    """The other services, and reporting's ways to ask them."""

    runner: RunnerPeer
    catalog: CatalogPeer
    ask_runner: Runner
    ask_catalog: Catalog


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    runner, catalog = two_peers()
    identity = ServiceIdentity("reporting", SERVICE_KEY)
    async with serving(
        lambda server: add_RunnerInternalServiceServicer_to_server(runner, server),
        lambda server: add_CatalogInternalServiceServicer_to_server(catalog, server),
        lambda server: add_SubjectInternalServiceServicer_to_server(catalog, server),
    ) as address:
        channel = open_channel(address)
        yield Peers(
            runner,
            catalog,
            Runner(RunnerInternalServiceStub(channel), identity),
            Catalog(CatalogInternalServiceStub(channel), SubjectInternalServiceStub(channel), identity),
        )
        await channel.close()


@pytest.fixture
async def nobody_there() -> AsyncIterator[Peers]:
    """Peers that are away."""
    identity = ServiceIdentity("reporting", SERVICE_KEY)
    channel = open_channel("127.0.0.1:1")
    yield Peers(
        *two_peers(),
        Runner(RunnerInternalServiceStub(channel), identity),
        Catalog(CatalogInternalServiceStub(channel), SubjectInternalServiceStub(channel), identity),
    )
    await channel.close()


@dataclass
class Bench:
    """Reporting's operations on one database, and what they told the feed."""

    database: Database
    peers: Peers
    numbers: Numbers = field(default_factory=Numbers)
    told: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.projection = Projection(self.database, self.peers.ask_runner, self._tell)
        self.forgetting = Forgetting(self.database, self._tell)
        self.learning = Learning(self.database, self.peers.ask_runner)
        self.reading = Reading(self.learning, self.peers.ask_catalog)

    async def _tell(self, run_ids: Collection[UUID]) -> None:
        self.told.extend(run_ids)

    async def completed(self, run: Facts, *cases: object) -> None:
        """Projects a whole run."""
        await self.projection.runs_started(self.numbers.heard(run.started()))
        for start in range(0, len(cases), 64):
            await self.projection.cases_scored(self.numbers.heard(run.scored(*cases[start : start + 64])))  # type: ignore[arg-type]
        await self.projection.runs_finished(self.numbers.heard(run.finished(len(cases))))

    async def run(self, run: Facts) -> Run:
        """The projected run."""
        async with self.database.connection() as connection:
            found = await runs.find(connection, run.workspace, run.id)
        assert found is not None
        return found

    async def events(self, run: Facts) -> list[tuple[int, str]]:
        """Numbers and kinds of all of a run's events."""
        async with self.database.connection() as connection:
            found = await runs.find(connection, run.workspace, run.id)
            return [] if found is None else [(event.seq, event.kind) for event in await events.page(connection, found, 0, 1 << 40)]

    async def ords(self, run: Facts, status: str | None, request: PageRequest) -> tuple[Sequence[str], int]:
        """The questions on a page of results, and the total."""
        async with self.database.connection() as connection:
            page = await results.page(connection, await self.run(run), status, request)
        return [result.question for result in page.items], page.total


@pytest.fixture
def bench(database: Database, peers: Peers) -> Bench:
    return Bench(database, peers)
