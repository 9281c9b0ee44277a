"""Scoring, plugged together."""

import os
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.common.internal.v1.outbox_pb2_grpc import OutboxServiceStub, add_OutboxServiceServicer_to_server
from assay.scoring.internal.v1.templates_pb2_grpc import add_TemplateInternalServiceServicer_to_server
from assay.scoring.v1.templates_pb2_grpc import add_TemplateServiceServicer_to_server
from services.scoring import consumer, operations, registry
from services.scoring.clients import Catalog, Runner
from services.scoring.embedding import Embedder
from services.scoring.evaluations import Evaluations
from services.scoring.judge import Judge
from services.scoring.scorers import Scorers
from services.scoring.servicers.templates import TemplateInternalServicer, TemplateServicer
from services.scoring.slots import Slots
from services.scoring.store import JudgeCache
from services.scoring.tries import Tries
from services.scoring.verdicts import Judges
from shared import config, guard, observe, server, tracing
from shared.channels import Authenticated, ServiceIdentity, open_channel
from shared.consumer import Ear, GapWatch
from shared.identity import Identifier, read_issuers, through_catalog
from shared.interceptors import Boundary
from shared.jetstream import Broker, StreamSettings
from shared.outbox_service import OutboxServicer
from shared.postgres import Database, open_pool, until_migrated
from shared.relay import Relay
from shared.tls import Transport

SERVICE = "scoring"
SCHEMA_VERSION = "0005"
REMOVE_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Config(Transport):
    """Settings; each is ASSAY_ and its name in upper case."""

    postgres_url: str
    nats_url: str
    listen: str
    catalog_address: str
    runner_address: str
    service_key: str
    jwt_issuers: str
    model_dir: str
    metrics_listen: str = ""
    instance: str = "scoring"
    lease_seconds: float = 15.0
    requests_per_second: float = 0.0  # per credential and process; 0: no limit
    allowed_networks: tuple[str, ...] = ()
    log_level: str = "info"
    nats_replicas: int = 1  # of each stream; 3 where NATS is a cluster


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


async def main(settings: Config) -> None:
    """Constructs everything, then serves."""
    observe.configure_logs(SERVICE, settings.instance, settings.log_level)
    tracing.start(SERVICE, settings.instance, os.environ)
    identity = ServiceIdentity(SERVICE, settings.service_key)
    catalog_channel, runner_channel = (
        open_channel(settings.catalog_address, settings.tls),
        open_channel(settings.runner_address, settings.tls),
    )
    broker = Broker(settings.nats_url, settings.instance, StreamSettings(settings.nats_replicas), settings.nats_tls)
    broker.start()
    relay = Relay(settings.postgres_url, SERVICE, broker)
    database = Database(await open_pool(settings.postgres_url, 10), relay.wake)
    session = guard.open_session(guard.Guard(settings.allowed_networks))
    slots = Slots(database, timedelta(seconds=settings.lease_seconds))
    judge, embedder = Judge(session, JudgeCache(database), slots.slot), Embedder(Path(settings.model_dir))
    templates = registry.load()
    catalog, runner = Catalog(catalog_channel, identity), Runner(runner_channel, identity)
    scorers = Scorers(embedder, judge)
    parts = operations.Parts(database, Judges(scorers, Evaluations(templates, scorers, judge)), catalog, runner, Tries(database), now)
    ear = Ear(SERVICE, broker, settings.lease_seconds)
    hearings = consumer.hearings(parts)
    outboxes = {"runner": Authenticated(OutboxServiceStub(runner_channel), identity)}

    def register(on: grpc.aio.Server) -> None:
        add_OutboxServiceServicer_to_server(OutboxServicer(SERVICE, database), on)
        add_TemplateInternalServiceServicer_to_server(TemplateInternalServicer(templates), on)
        add_TemplateServiceServicer_to_server(TemplateServicer(templates), on)

    async def close() -> None:
        await judge.close()
        await session.close()
        embedder.close()
        await broker.close()
        await database.close()

    authenticate = through_catalog(Authenticated(CatalogInternalServiceStub(catalog_channel), identity))
    identifier = Identifier(read_issuers(settings.jwt_issuers), settings.service_key, authenticate)
    hearing_tasks: list[partial[Coroutine[Any, Any, None]]] = [partial(ear.hear, hearing) for hearing in hearings]
    await server.serve(
        server.App(
            SERVICE,
            settings.listen,
            Boundary(identifier, settings.requests_per_second),
            register,
            partial(until_migrated, database, SCHEMA_VERSION),
            tasks=[
                relay.run,
                slots.run,
                *hearing_tasks,
                partial(GapWatch(ear, database, outboxes).watch, hearings),
                partial(operations.remove_deleted, database, REMOVE_EVERY_SECONDS),
            ],
            close=close,
            metrics_listen=settings.metrics_listen,
            certificates=settings.tls,
            health_listen=settings.health_listen,
        )
    )


if __name__ == "__main__":
    server.run(main(config.read(Config, os.environ)))
