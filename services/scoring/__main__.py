"""Scoring, plugged together."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import aiohttp
import grpc

from assay.common.internal.v1.outbox_pb2_grpc import add_OutboxServiceServicer_to_server
from assay.runner.internal.v1.runner_pb2_grpc import RunnerInternalServiceStub
from assay.scoring.internal.v1.templates_pb2_grpc import add_TemplateInternalServiceServicer_to_server
from assay.scoring.v1.templates_pb2_grpc import add_TemplateServiceServicer_to_server
from services.scoring import consumer, operations, registry
from services.scoring.clients import Catalog
from services.scoring.embedding import Embedder
from services.scoring.evaluations import Evaluations
from services.scoring.judge import Judge
from services.scoring.scorers import Scorers
from services.scoring.servicers.templates import TemplateInternalServicer, TemplateServicer
from services.scoring.slots import Slots
from services.scoring.store import JudgeCache
from services.scoring.tries import Tries
from services.scoring.verdicts import Judges
from shared import guard, server, service
from shared.long_texts import LongTexts
from shared.outbox_service import OutboxServicer
from shared.postgres import Database, open_pool

SERVICE = "scoring"
SCHEMA_VERSION = "0005"
POOL = 10
REMOVE_EVERY_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Config(service.Settings):
    """Scoring's own settings."""

    catalog_address: str
    runner_address: str
    model_dir: str
    instance: str = SERVICE
    lease_seconds: float = 15.0
    allowed_networks: tuple[str, ...] = ()


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Means:
    """What answers are judged by: our own model, and those of others, which are called."""

    embedder: Embedder
    judge: Judge
    slots: Slots
    session: aiohttp.ClientSession

    async def close(self) -> None:
        """Ends what is under way, and lets go of the model."""
        await self.judge.close()
        await self.session.close()
        self.embedder.close()


def judging(settings: Config, database: Database) -> Means:
    """The means that the settings tell of."""
    session = guard.open_session(guard.Guard(settings.allowed_networks))
    slots = Slots(database, timedelta(seconds=settings.lease_seconds))
    return Means(Embedder(Path(settings.model_dir)), Judge(session, JudgeCache(database), slots.slot), slots, session)


def registering(templates: registry.Registry, database: Database) -> Callable[[grpc.aio.Server], None]:
    """Everything that the service answers."""

    def register(to: grpc.aio.Server) -> None:
        add_OutboxServiceServicer_to_server(OutboxServicer(SERVICE, database), to)
        add_TemplateInternalServiceServicer_to_server(TemplateInternalServicer(templates), to)
        add_TemplateServiceServicer_to_server(TemplateServicer(templates), to)

    return register


def build(settings: Config, database: Database) -> server.App:
    """The whole service."""
    process = service.connect(SERVICE, SCHEMA_VERSION, settings, database)
    peers, means, templates = process.peers, judging(settings, database), registry.load()
    catalog = Catalog(peers.channels["catalog"], peers.identity)
    long_texts = LongTexts(RunnerInternalServiceStub(peers.channels["runner"]), peers.identity)
    scorers = Scorers(means.embedder, means.judge)
    judges = Judges(scorers, Evaluations(templates, scorers, means.judge))
    parts = operations.Parts(database, judges, catalog, long_texts, Tries(database), now)
    tasks: list[service.Task] = [
        *process.hearing(consumer.hearings(parts), settings.lease_seconds),
        partial(operations.remove_deleted, database, REMOVE_EVERY_SECONDS),
    ]
    beneath: list[service.Task] = [process.relay().run, means.slots.run]
    around = service.boundary(settings, peers.authenticate)
    return process.app(around, registering(templates, database), tasks, beneath=beneath, close=means.close)


async def main() -> None:
    """Serves until it is told to stop."""
    settings = service.start(SERVICE, Config)
    await server.serve(build(settings, Database(await open_pool(settings.postgres_url, POOL))))


if __name__ == "__main__":
    server.run(main())
