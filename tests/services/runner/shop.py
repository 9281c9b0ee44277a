"""Workers that run side by side on real Postgres and NATS."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.runner.__main__ import DOCUMENTATION
from services.runner.calls import Caller
from services.runner.entities import Run
from services.runner.governor import Governor
from services.runner.operations import execution
from services.runner.targets.builtin import Builtin
from services.runner.targets.openai import OpenAI
from services.runner.worker import Worker
from shared.guard import Guard, open_session
from shared.jetstream import Broker
from shared.postgres import Database
from shared.relay import Relay
from shared.topics import TICKETS
from tests.servers import NatsProcess
from tests.services.runner.endpoint import Endpoint, endpoint
from tests.services.runner.house import (
    Asked,
    a_target,
    running,
    said,
    states,
    tickets_out,
)
from tests.shared.waiting import until

LEASE = timedelta(seconds=6)
EXECUTED = "runner.cases_executed"


@dataclass
class Shop:
    """Workers that run side by side, and what they call."""

    database: Database
    url: str
    broker: Broker
    nats: NatsProcess
    asked: Asked
    there: Endpoint
    openai: OpenAI
    stack: contextlib.AsyncExitStack
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def a_worker(self) -> tuple[Worker, asyncio.Task[None]]:
        """A worker with a connection to NATS of its own, and a place among the runners."""
        broker = Broker(self.nats.url, f"runner-{len(self.tasks)}")
        broker.start()
        self.stack.push_async_callback(broker.close)
        governor = Governor(self.database, f"runner-{len(self.tasks)}", LEASE)
        caller = Caller(governor, self.asked.catalog, {"openai": self.openai}, Builtin(DOCUMENTATION))
        worker = Worker(self.database, broker, governor, caller, LEASE)
        await governor.beat()
        self.begin(governor.run())
        return worker, self.begin(worker.run())

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self.tasks.append(task)
        return task

    async def run(self, cases: int = 30, repeats: int = 1, slots: int = 8, **said: object) -> Run:
        """A run that calls the endpoint."""
        self.asked.neighbours.target.base_url = self.there.url
        target = a_target(kind="openai", base_url=self.there.url, max_concurrency=8)
        made = await running(self.database, cases, repeats, slots=slots, **{"target": target, **said})
        self.database.committed()
        return made

    async def until_executed(self, run: Run, within: float = 25.0) -> None:
        async def done() -> bool:
            return set(await states(self.database, run)) == {"executed"} and not await tickets_out(self.database, run)

        await until(done, within)
        told = [case.ord for event in await said(self.database, EXECUTED) if event.run_id == str(run.id) for case in event.cases]
        assert sorted(told) == list(range(run.total_cases))

    async def until_leased(self, run: Run, least: int = 1) -> None:
        async def leased() -> bool:
            return (await states(self.database, run)).count("leased") >= least

        await until(leased)

    async def in_queue(self) -> int:
        """Tickets that NATS still holds."""
        return (await self.broker.jetstream.stream_info(TICKETS.stream)).state.messages


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def opened(database: Database, url: str, nats_server: NatsProcess, asked: Asked) -> AsyncIterator[Shop]:
    """An open shop, without workers yet."""
    nats_server.wipe()
    broker = Broker(nats_server.url, "relay")
    broker.start()
    await asyncio.wait_for(broker.ready(), 10)
    relay = Relay(url, "runner", broker)
    database.committed = relay.wake
    async with contextlib.AsyncExitStack() as stack, endpoint() as there, open_session(Guard(["127.0.0.0/8"])) as session:
        made = Shop(database, url, broker, nats_server, asked, there, OpenAI(session), stack)
        made.begin(relay.run())
        yield made
        for task in reversed(made.tasks):
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
    await broker.close()


def deafen_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """No renewal tells a worker that it lost anything: what ends its work then is something else."""

    async def renew(_database: Database, _run_id: UUID, fences: Mapping[int, int], _lease: timedelta) -> set[int]:
        return set(fences)

    monkeypatch.setattr(execution, "renew", renew)
