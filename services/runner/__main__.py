"""The runner, plugged together."""

import contextlib
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc

from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.common.internal.v1.outbox_pb2_grpc import OutboxServiceStub, add_OutboxServiceServicer_to_server
from assay.runner.internal.v1.runner_pb2_grpc import add_RunnerInternalServiceServicer_to_server
from assay.runner.v1.assistant_test_runs_pb2_grpc import add_AssistantTestRunServiceServicer_to_server
from assay.runner.v1.chat_calls_pb2_grpc import add_ChatCallServiceServicer_to_server
from assay.runner.v1.project_test_runs_pb2_grpc import add_ProjectTestRunServiceServicer_to_server
from assay.runner.v1.prompt_test_case_runs_pb2_grpc import add_PromptTestCaseRunServiceServicer_to_server
from assay.runner.v1.run_test_executions_pb2_grpc import add_RunTestExecutionServiceServicer_to_server
from assay.runner.v1.runs_pb2_grpc import add_RunServiceServicer_to_server
from services.runner import consumer
from services.runner.calls import Caller
from services.runner.clients import Catalog, Reporting
from services.runner.clock import Clock
from services.runner.execution import CANCELLED_SUBJECT, Worker
from services.runner.governor import Governor
from services.runner.operations import runs as run_operations
from services.runner.operations.completion import Completion
from services.runner.reconciler import Reconciler
from services.runner.servicers.assistant_tests import AssistantTestRunServicer
from services.runner.servicers.chats import ChatCallServicer
from services.runner.servicers.internal import RunnerInternalServicer
from services.runner.servicers.projects import ProjectTestRunServicer
from services.runner.servicers.prompt_cases import PromptTestCaseRunServicer
from services.runner.servicers.run_tests import RunTestExecutionServicer
from services.runner.servicers.runs import Parts, RunServicer
from services.runner.simulation import Simulation
from services.runner.targets import Target
from services.runner.targets.builtin import Builtin
from services.runner.targets.http import Http
from services.runner.targets.openai import OpenAI
from shared import config, guard, observe, server, tracing
from shared.channels import Authenticated, ServiceIdentity, open_channel
from shared.consumer import Ear, GapWatch
from shared.errors import Unavailable
from shared.identity import Identifier, read_issuers, through_catalog
from shared.interceptors import Boundary
from shared.jetstream import OUTAGES, Broker, StreamSettings
from shared.outbox_service import OutboxServicer
from shared.postgres import OUTAGES as OUTAGES_OF_POSTGRES, Database, open_pool, until_migrated
from shared.relay import Relay
from shared.tls import Transport

SERVICE = "runner"
SCHEMA_VERSION = "0007"
POOL = 16
DOCUMENTATION = Path(__file__).parents[2] / "deploy" / "demo" / "documentation"


@dataclass(frozen=True)
class Config(Transport):
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
    nats_replicas: int = 1  # of each stream; 3 where NATS is a cluster
    abandoned_call_seconds: float = 600.0  # without a word from the client, after which a call of chat mode has ended


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Peers:
    """One channel per peer for the life of the process."""

    catalog: grpc.aio.Channel
    scoring: grpc.aio.Channel
    reporting: grpc.aio.Channel

    def outboxes(self, identity: ServiceIdentity) -> dict[str, Authenticated]:
        """What lost events are read from, by producer."""
        channels = {"catalog": self.catalog, "scoring": self.scoring}
        return {name: Authenticated(OutboxServiceStub(channel), identity) for name, channel in channels.items()}

    async def close(self) -> None:
        """Hangs up."""
        for channel in (self.catalog, self.scoring, self.reporting):
            await channel.close()


@dataclass(frozen=True)
class Works:
    """What works in a process beside the servicers."""

    relay: Relay
    governor: Governor
    worker: Worker
    reconciler: Reconciler
    clock: Clock
    simulation: Simulation

    @property
    def tasks(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What goes on until the process ends."""
        return [self.relay.run, self.governor.run, self.worker.run, self.reconciler.run, self.clock.run]


def cancelling(database: Database, broker: Broker, completion: Completion) -> Callable[[UUID], Awaitable[None]]:
    """What follows a cancel: calls end everywhere, and what wasn't executed is closed."""

    async def cancelled(run_id: UUID) -> None:
        with contextlib.suppress(*OUTAGES):
            if broker.connected:
                await broker.client.publish(CANCELLED_SUBJECT, str(run_id).encode())
        with contextlib.suppress(Unavailable, *OUTAGES_OF_POSTGRES):  # the command itself took effect; the reconciler goes on with this
            await run_operations.close_unexecuted(database, run_id)
            await completion.complete(run_id)

    return cancelled


def registering(parts: Parts, simulation: Simulation) -> Callable[[grpc.aio.Server], None]:
    """Everything that the service answers."""

    def register(to: grpc.aio.Server) -> None:
        add_RunServiceServicer_to_server(RunServicer(parts), to)
        add_ProjectTestRunServiceServicer_to_server(ProjectTestRunServicer(parts), to)
        add_PromptTestCaseRunServiceServicer_to_server(PromptTestCaseRunServicer(parts), to)
        add_AssistantTestRunServiceServicer_to_server(AssistantTestRunServicer(parts), to)
        add_RunTestExecutionServiceServicer_to_server(RunTestExecutionServicer(parts), to)
        add_ChatCallServiceServicer_to_server(ChatCallServicer(parts, simulation), to)
        add_RunnerInternalServiceServicer_to_server(RunnerInternalServicer(parts.database, parts.cancelled, parts.clock), to)
        add_OutboxServiceServicer_to_server(OutboxServicer(SERVICE, parts.database), to)

    return register


def build(settings: Config, pool: asyncpg.Pool) -> server.App:
    """The whole service."""
    lease = timedelta(seconds=settings.lease_seconds)
    identity = ServiceIdentity(SERVICE, settings.service_key)
    peers = Peers(
        *(
            open_channel(address, settings.tls)
            for address in (settings.catalog_address, settings.scoring_address, settings.reporting_address)
        )
    )
    catalog, reporting = Catalog(peers.catalog, identity), Reporting(peers.reporting, identity)
    broker = Broker(settings.nats_url, settings.instance, StreamSettings(settings.nats_replicas), settings.nats_tls)
    relay = Relay(settings.postgres_url, SERVICE, broker)
    database = Database(pool, relay.wake)
    completion = Completion(database)
    governor = Governor(database, settings.instance, lease)
    session = guard.open_session(guard.Guard(settings.allowed_networks))
    targets: dict[str, Target] = {"openai": OpenAI(session), "http": Http(session)}
    caller = Caller(governor, catalog, targets, Builtin(Path(settings.documentation)))
    works = Works(
        relay,
        governor,
        Worker(database, broker, governor, caller, lease),
        Reconciler(database, catalog, completion, lease, timedelta(seconds=settings.abandoned_call_seconds)),
        Clock(database, catalog, now),
        Simulation(caller),
    )
    ear, hearings = Ear(SERVICE, broker, settings.lease_seconds), consumer.hearings(database, completion)
    watch = GapWatch(ear, database, peers.outboxes(identity))
    parts = Parts(database, catalog, reporting, works.reconciler.freeze_soon, cancelling(database, broker, completion), now)
    authenticate = through_catalog(Authenticated(CatalogInternalServiceStub(peers.catalog), identity))
    origins = (*settings.allowed_origins, settings.public_url)
    identifier = Identifier(read_issuers(settings.jwt_issuers), settings.service_key, authenticate, origins)

    async def ready() -> None:
        broker.start()
        await until_migrated(database, SCHEMA_VERSION)

    async def close() -> None:
        await works.reconciler.close()
        await session.close()
        await broker.close()
        await peers.close()
        await database.close()

    return server.App(
        name=SERVICE,
        listen=settings.listen,
        boundary=Boundary(identifier, settings.requests_per_second),
        register=registering(parts, works.simulation),
        ready=ready,
        tasks=[*works.tasks, *(partial(ear.hear, hearing) for hearing in hearings), partial(watch.watch, hearings)],
        close=close,
        metrics_listen=settings.metrics_listen,
        certificates=settings.tls,
        health_listen=settings.health_listen,
    )


async def main() -> None:
    """Serves until it is told to stop."""
    settings = config.read(Config, os.environ)
    observe.configure_logs(SERVICE, settings.instance, settings.log_level)
    tracing.start(SERVICE, settings.instance, os.environ)
    await server.serve(build(settings, await open_pool(settings.postgres_url, POOL)))


if __name__ == "__main__":
    server.run(main())
