"""The runner, plugged together."""

import contextlib
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc

from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.common.internal.v1.outbox_pb2_grpc import OutboxServiceStub, add_OutboxServiceServicer_to_server
from assay.runner.internal.v1.runner_pb2_grpc import add_RunnerInternalServiceServicer_to_server
from assay.runner.v1.project_test_runs_pb2_grpc import add_ProjectTestRunServiceServicer_to_server
from assay.runner.v1.prompt_test_case_runs_pb2_grpc import add_PromptTestCaseRunServiceServicer_to_server
from assay.runner.v1.runs_pb2_grpc import add_RunServiceServicer_to_server
from services.runner import consumer
from services.runner.calls import Caller
from services.runner.clients import Catalog, Reporting
from services.runner.execution import CANCELLED_SUBJECT, Worker
from services.runner.governor import Governor
from services.runner.operations import runs as run_operations
from services.runner.operations.completion import Completion
from services.runner.reconciler import Reconciler
from services.runner.servicers.internal import RunnerInternalServicer
from services.runner.servicers.projects import ProjectTestRunServicer
from services.runner.servicers.prompt_cases import PromptTestCaseRunServicer
from services.runner.servicers.runs import Parts, RunServicer
from services.runner.targets import Target
from services.runner.targets.builtin import Builtin
from services.runner.targets.http import Http
from services.runner.targets.openai import OpenAI
from shared import config, guard, observe, server
from shared.channels import Authenticated, ServiceIdentity, open_channel
from shared.consumer import Ear, GapWatch
from shared.errors import Unavailable
from shared.identity import Identifier, read_issuers, through_catalog
from shared.interceptors import Boundary
from shared.jetstream import OUTAGES, Broker
from shared.outbox import Relay
from shared.outbox_service import OutboxServicer
from shared.postgres import OUTAGES as OUTAGES_OF_POSTGRES, Database, open_pool, until_migrated

SERVICE = "runner"
SCHEMA_VERSION = "0004"
DOCUMENTATION = Path(__file__).parents[2] / "deploy" / "demo" / "documentation"


@dataclass(frozen=True)
class Config:
    """Settings; each is ASSAY_ and its name in upper case."""

    postgres_url: str
    nats_url: str
    listen: str
    catalog_address: str
    reporting_address: str
    scoring_address: str
    service_key: str
    jwt_issuers: str
    metrics_listen: str = ""
    instance: str = "runner"
    lease_seconds: float = 15.0
    allowed_networks: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    public_url: str = ""
    documentation: str = str(DOCUMENTATION)
    requests_per_second: float = 0.0  # per credential and process; 0: no limit
    log_level: str = "info"


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


async def main(settings: Config) -> None:
    """Constructs everything, then serves."""
    observe.configure_logs(SERVICE, settings.instance, settings.log_level)
    lease = timedelta(seconds=settings.lease_seconds)
    identity = ServiceIdentity(SERVICE, settings.service_key)
    catalog_channel, scoring_channel = open_channel(settings.catalog_address), open_channel(settings.scoring_address)
    catalog = Catalog(catalog_channel, identity)
    reporting = Reporting(open_channel(settings.reporting_address), identity)
    broker = Broker(settings.nats_url, settings.instance)
    broker.start()
    relay = Relay(settings.postgres_url, SERVICE, broker)
    database = Database(await open_pool(settings.postgres_url, 16), relay.wake)
    completion = Completion(database)
    reconciler = Reconciler(database, catalog, completion, lease)
    governor = Governor(database, settings.instance, lease)
    session = guard.open_session(guard.Guard(settings.allowed_networks))
    targets: dict[str, Target] = {"openai": OpenAI(session), "http": Http(session)}
    caller = Caller(governor, catalog, targets, Builtin(Path(settings.documentation)))
    worker = Worker(database, broker, governor, caller, lease)
    ear = Ear(SERVICE, broker, settings.lease_seconds)
    hearings = consumer.hearings(database, completion)
    outboxes = {
        "catalog": Authenticated(OutboxServiceStub(catalog_channel), identity),
        "scoring": Authenticated(OutboxServiceStub(scoring_channel), identity),
    }

    async def cancelled(run_id: UUID) -> None:
        with contextlib.suppress(*OUTAGES):
            if broker.connected:
                await broker.client.publish(CANCELLED_SUBJECT, str(run_id).encode())
        with contextlib.suppress(Unavailable, *OUTAGES_OF_POSTGRES):  # the command itself took effect; the reconciler goes on with this
            await run_operations.close_unexecuted(database, run_id)
            await completion.complete(run_id)

    parts = Parts(database, catalog, reporting, reconciler.freeze_soon, cancelled, now)

    def register(on: grpc.aio.Server) -> None:
        add_RunServiceServicer_to_server(RunServicer(parts), on)
        add_ProjectTestRunServiceServicer_to_server(ProjectTestRunServicer(parts), on)
        add_PromptTestCaseRunServiceServicer_to_server(PromptTestCaseRunServicer(parts), on)
        add_RunnerInternalServiceServicer_to_server(RunnerInternalServicer(database, cancelled, now), on)
        add_OutboxServiceServicer_to_server(OutboxServicer(SERVICE, database), on)

    async def close() -> None:
        await reconciler.close()
        await session.close()
        await broker.close()
        await database.close()

    authenticate = through_catalog(Authenticated(CatalogInternalServiceStub(catalog_channel), identity))
    origins = (*settings.allowed_origins, settings.public_url)
    identifier = Identifier(read_issuers(settings.jwt_issuers), settings.service_key, authenticate, origins)
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
                governor.run,
                worker.run,
                reconciler.run,
                *hearing_tasks,
                partial(GapWatch(ear, database, outboxes).watch, hearings),
            ],
            close=close,
            metrics_listen=settings.metrics_listen,
        )
    )


if __name__ == "__main__":
    server.run(main(config.read(Config, os.environ)))
