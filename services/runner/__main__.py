"""The runner, plugged together."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import aiohttp
import grpc

from assay.common.internal.v1.outbox_pb2_grpc import add_OutboxServiceServicer_to_server
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
from services.runner.governor import Governor
from services.runner.operations.closing import Closing
from services.runner.operations.completion import Completion
from services.runner.operations.pruning import Keep, Pruning
from services.runner.pruning import prune_for_ever
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
from services.runner.worker import CANCELLED_SUBJECT, Worker
from shared import guard, server, service
from shared.jetstream import OUTAGES, Broker
from shared.outbox_service import OutboxServicer
from shared.postgres import Database, open_pool

SERVICE = "runner"
SCHEMA_VERSION = "0008"
POOL = 16
DOCUMENTATION = Path(__file__).parents[2] / "deploy" / "demo" / "documentation"


@dataclass(frozen=True, kw_only=True)
class Config(service.Settings):
    """The runner's own settings."""

    catalog_address: str
    reporting_address: str
    scoring_address: str
    instance: str = SERVICE
    lease_seconds: float = 15.0
    allowed_networks: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    public_url: str = ""
    documentation: str = str(DOCUMENTATION)
    abandoned_call_seconds: float = 600.0  # without a word from the client, after which a call of chat mode has ended
    run_retention_days: float = 0.0  # after its end a run is deleted with all that is known of it; 0: never


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Works:
    """What works in a process beside the servicers."""

    governor: Governor
    worker: Worker
    reconciler: Reconciler
    clock: Clock
    simulation: Simulation
    completion: Completion

    @property
    def tasks(self) -> list[service.Task]:
        """What goes on until the process ends; the governor still counts then."""
        return [self.worker.run, self.reconciler.run, self.clock.run]


def cancelling(database: Database, broker: Broker, completion: Completion) -> Callable[[UUID], Awaitable[None]]:
    """What follows a cancel: calls end everywhere, and what wasn't executed is closed, which nobody waits for."""
    closing = Closing(database, completion)

    async def cancelled(run_id: UUID) -> None:
        with contextlib.suppress(*OUTAGES):
            if broker.connected:
                await broker.client.publish(CANCELLED_SUBJECT, str(run_id).encode())
        closing.begin(run_id)

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


def working(settings: Config, process: service.Process, catalog: Catalog, session: aiohttp.ClientSession) -> Works:
    """Everything that executes runs, begins what is due, and ends what is done."""
    lease, abandoned = timedelta(seconds=settings.lease_seconds), timedelta(seconds=settings.abandoned_call_seconds)
    database, completion = process.database, Completion(process.database)
    governor = Governor(database, settings.instance, lease)
    targets: dict[str, Target] = {"openai": OpenAI(session), "http": Http(session)}
    caller = Caller(governor, catalog, targets, Builtin(Path(settings.documentation)))
    return Works(
        governor,
        Worker(database, process.broker, governor, caller, lease),
        Reconciler(database, catalog, completion, lease, abandoned),
        Clock(database, catalog, now),
        Simulation(caller),
        completion,
    )


def build(settings: Config, database: Database) -> server.App:
    """The whole service."""
    process = service.connect(SERVICE, SCHEMA_VERSION, settings, database)
    peers = process.peers
    session = guard.open_session(guard.Guard(settings.allowed_networks))
    catalog, reporting = Catalog(peers.channels["catalog"], peers.identity), Reporting(peers.channels["reporting"], peers.identity)
    works = working(settings, process, catalog, session)
    cancelled = cancelling(database, process.broker, works.completion)
    pruning = Pruning(database, reporting, Keep.of(settings.run_retention_days), now)
    parts = Parts(database, catalog, reporting, works.reconciler.freeze_soon, cancelled, now)
    hearing = process.hearing(consumer.hearings(database, works.completion), settings.lease_seconds)
    around = service.boundary(settings, peers.authenticate, (service.origin(settings.public_url), *settings.allowed_origins))

    async def close() -> None:
        await works.reconciler.close()
        await session.close()

    tasks: list[service.Task] = [*works.tasks, partial(prune_for_ever, pruning), *hearing]
    beneath: list[service.Task] = [process.relay().run, works.governor.run]
    return process.app(around, registering(parts, works.simulation), tasks, beneath=beneath, close=close)


async def main() -> None:
    """Serves until it is told to stop."""
    settings = service.start(SERVICE, Config)
    await server.serve(build(settings, Database(await open_pool(settings.postgres_url, POOL))))


if __name__ == "__main__":
    server.run(main())
