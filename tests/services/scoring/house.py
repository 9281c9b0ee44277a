"""Scoring's operations on real Postgres; its peers are real gRPC servers that answer what a test told them."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc

from assay.catalog.internal.v1 import catalog_pb2, catalog_pb2_grpc
from assay.runner.internal.v1 import runner_pb2, runner_pb2_grpc
from assay.scoring.internal.v1 import events_pb2 as scoring_events
from services.scoring import registry
from services.scoring.clients import Catalog
from services.scoring.embedding import Embedder
from services.scoring.evaluations import Evaluations
from services.scoring.judge import Judge
from services.scoring.operations import Parts
from services.scoring.scorers import Scorers
from services.scoring.store import JudgeCache
from services.scoring.tries import Tries
from services.scoring.verdicts import Judges
from shared.channels import ServiceIdentity, open_channel
from shared.errors import NotFound, Unavailable
from shared.guard import Guard, open_session
from shared.identity import workspace
from shared.interceptors import Context
from shared.long_texts import LongTexts
from shared.postgres import Database, open_pool
from tests.services.reporting.peers import SERVICE_KEY, serving
from tests.services.scoring.events import Facts

SCORED_AT = datetime(2026, 11, 3, 9, 30, 0, 250_000, tzinfo=UTC)


@dataclass
class CatalogPeer(catalog_pb2_grpc.CatalogInternalServiceServicer):
    """Judges by workspace; `away` refuses every call, as a catalog without its database does."""

    judges: dict[str, catalog_pb2.JudgeSettings] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    away: bool = False

    def judges_for(self, run: Facts, base_url: str, *, require: bool = False) -> None:
        access = catalog_pb2.ConnectionAccess(base_url=base_url, api_key="s3cret", max_concurrency=4, timeout_ms=5_000)
        self.judges[str(run.workspace)] = catalog_pb2.JudgeSettings(judge=access, model="judge-1", require_judge=require)

    async def ReadJudge(self, request: catalog_pb2.ReadJudgeRequest, context: Context) -> catalog_pb2.JudgeSettings:  # noqa: ARG002 gRPC's signature
        self.asked.append(str(workspace()))
        if self.away:
            raise Unavailable("the database can't be reached right now")
        return self.judges.get(str(workspace()), catalog_pb2.JudgeSettings())


@dataclass
class RunnerPeer(runner_pb2_grpc.RunnerInternalServiceServicer):
    """Texts by workspace, run and ord; a run without any is unknown."""

    texts: dict[tuple[str, str], dict[int, runner_pb2.CaseTexts]] = field(default_factory=dict)
    asked: list[Sequence[int]] = field(default_factory=list)

    def keeps(self, run: Facts, *texts: runner_pb2.CaseTexts) -> None:
        self.texts[str(run.workspace), str(run.id)] = {each.ord: each for each in texts}

    async def ReadTexts(self, request: runner_pb2.ReadTextsRequest, context: Context) -> AsyncIterator[runner_pb2.CaseTexts]:  # noqa: ARG002 the same
        self.asked.append(list(request.ords))
        known = self.texts.get((str(workspace()), request.run_id))
        if known is None:
            raise NotFound("run")
        for ord_ in request.ords:
            yield known[ord_]


@dataclass
class House:
    """Everything that scoring consists of, and its peers."""

    parts: Parts
    catalog: CatalogPeer
    runner: RunnerPeer

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        """Rows of a query; of those with one column the values."""
        async with self.parts.database.connection() as connection:
            rows = await connection.fetch(query, *arguments)
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    async def execute(self, query: str, *arguments: Any) -> None:
        async with self.parts.database.connection() as connection:
            await connection.execute(query, *arguments)

    async def told(self, run: Facts) -> list[scoring_events.CasesScored]:
        """What the outbox holds of a run, in order."""
        rows = await self.fetch("SELECT payload FROM outbox WHERE topic = 'scoring.cases_scored' ORDER BY id")
        events = [scoring_events.CasesScored.FromString(row) for row in rows]
        return [event for event in events if event.run_id == str(run.id)]

    async def statuses(self, run: Facts) -> list[tuple[int, str]]:
        """Ord and status of every case that was told of, in the order of ords."""
        return sorted((each.executed.ord, score.status) for event in await self.told(run) for each in event.cases for score in each.scores)

    async def stored(self, run: Facts) -> list[str]:
        """The statuses of a run's stored scores, by case."""
        return await self.fetch("SELECT status FROM scores WHERE run_id = $1 ORDER BY case_id, repeat", run.id)

    async def tries(self) -> list[int]:
        return await self.fetch("SELECT tries FROM tries WHERE tries > 0 ORDER BY seq")


@contextlib.asynccontextmanager
async def a_house(url: str, embedder: Embedder) -> AsyncIterator[House]:
    """Scoring without its consumer, for as long as the block lasts."""
    catalog, runner = CatalogPeer(), RunnerPeer()  # type: ignore[abstract]
    identity = ServiceIdentity("scoring", SERVICE_KEY)
    async with (
        serving(
            lambda server: catalog_pb2_grpc.add_CatalogInternalServiceServicer_to_server(catalog, server),
            lambda server: runner_pb2_grpc.add_RunnerInternalServiceServicer_to_server(runner, server),
        ) as address,
        open_session(Guard(["127.0.0.0/8"])) as session,
        _channel(address) as channel,
    ):
        database = Database(await open_pool(url, 8))
        judge = Judge(session, JudgeCache(database))
        scorers = Scorers(embedder, judge)
        judges = Judges(scorers, Evaluations(registry.load(), scorers, judge))
        yield House(
            Parts(
                database,
                judges,
                Catalog(channel, identity),
                LongTexts(runner_pb2_grpc.RunnerInternalServiceStub(channel), identity),
                Tries(database),
                lambda: SCORED_AT,
            ),
            catalog,
            runner,
        )
        await judge.close()
        await database.close()


@contextlib.asynccontextmanager
async def _channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    channel = open_channel(address)
    yield channel
    await channel.close()
