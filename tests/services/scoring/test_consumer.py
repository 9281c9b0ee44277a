"""What the runner's outbox publishes over a real NATS ends as scores: in this process, and in one that is killed."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.message import Message

from assay.catalog.internal.v1.catalog_pb2_grpc import add_CatalogInternalServiceServicer_to_server
from assay.common.internal.v1.outbox_pb2_grpc import OutboxServiceStub, add_OutboxServiceServicer_to_server
from deploy.local import ports
from services.scoring.consumer import hearings
from services.scoring.embedding import Embedder
from services.scoring.embedding_files import directory
from shared import outbox
from shared.channels import Authenticated, ServiceIdentity, open_channel
from shared.consumer import Ear
from shared.gaps import GapWatch
from shared.jetstream import Broker
from shared.outbox import Event
from shared.outbox_service import OutboxServicer
from shared.postgres import Database, open_pool
from shared.relay import Relay
from shared.topics import CASES_EXECUTED, RUN_DELETED, Topic, heard_by
from tests.servers import NatsProcess, PostgresServer
from tests.services.reporting.peers import SERVICE_KEY, serving
from tests.services.scoring.chat_server import ChatServer
from tests.services.scoring.events import Facts, a_case
from tests.services.scoring.house import House, a_house

ACK_WAIT = 2.0
# Seconds in which a new process, which may have to load the model, has asked a judge.
STARTED_WITHIN = 60


@pytest.fixture(scope="module")
def urls(postgres: PostgresServer) -> dict[str, str]:
    return postgres.create(["runner", "scoring"])


@dataclass
class Producer:
    """The runner as scoring sees it: its outbox, and the relay that publishes it."""

    database: Database
    broker: Broker

    async def says(self, topic: Topic, *messages: Message) -> None:
        async with self.database.transaction() as connection:
            await outbox.append(connection, [Event(topic, message) for message in messages])

    async def published(self) -> None:
        """Returns once NATS has everything."""
        async with asyncio.timeout(20), self.database.connection() as connection:
            while await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL"):  # noqa: ASYNC110 nobody tells
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def tasks(*coroutines: Any) -> AsyncIterator[None]:
    """Run for as long as the block lasts."""
    running = [asyncio.create_task(each) for each in coroutines]
    yield
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture
async def producer(urls: dict[str, str], nats_server: NatsProcess) -> AsyncIterator[Producer]:
    broker = Broker(nats_server.url, "runner")
    broker.start()
    relay = Relay(urls["runner"], "runner", broker)
    database = Database(await open_pool(urls["runner"], 2), relay.wake)
    async with tasks(relay.run()):
        yield Producer(database, broker)
    await broker.close()
    await database.close()


@pytest.fixture
async def house(urls: dict[str, str], embedder: Embedder) -> AsyncIterator[House]:
    async with a_house(urls["scoring"], embedder) as house:
        yield house


@contextlib.asynccontextmanager
async def hearing(house: House, producer: Producer, overdue_after: float = 600.0) -> AsyncIterator[None]:
    """Scoring hears, for as long as the block lasts; what NATS lost it reads from the producer's outbox."""
    ear = Ear("scoring", producer.broker, ACK_WAIT)
    heard = hearings(house.parts)
    servicer = OutboxServicer("runner", producer.database)
    async with serving(lambda server: add_OutboxServiceServicer_to_server(servicer, server)) as address:
        channel = open_channel(address)
        outboxes = {"runner": Authenticated(OutboxServiceStub(channel), ServiceIdentity("scoring", SERVICE_KEY))}
        watch = GapWatch(ear, house.parts.database, outboxes, overdue_after)
        async with tasks(*(ear.hear(each) for each in heard), watch.watch(heard)):
            yield
        await channel.close()


async def until(seconds: float, holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0.05)


async def until_scored(house: House, run: Facts, cases: int, seconds: float = 30) -> None:
    async def all_scored() -> bool:
        return len(await house.stored(run)) >= cases

    await until(seconds, all_scored)


async def test_scoring_hears_every_topic_that_it_must(house: House) -> None:
    assert {each.topic for each in hearings(house.parts)} == set(heard_by("scoring"))


async def test_what_the_runner_publishes_is_scored_and_told(house: House, producer: Producer) -> None:
    runs = [Facts() for _ in range(3)]
    async with hearing(house, producer):
        await producer.says(CASES_EXECUTED, *(run.executed(a_case(n), a_case(n + 1, "six days")) for n in range(0, 40, 2) for run in runs))
        for run in runs:
            await until_scored(house, run, 40)
    for run in runs:
        assert await house.statuses(run) == [(n, "failed" if n % 2 else "passed") for n in range(40)]


async def test_a_stream_that_is_delivered_anew_has_no_second_effect(house: House, producer: Producer) -> None:
    run, last = Facts(), Facts()
    async with hearing(house, producer):
        await producer.says(CASES_EXECUTED, *(run.executed(a_case(n)) for n in range(30)))
        await until_scored(house, run, 30)
        await producer.broker.jetstream.delete_consumer(CASES_EXECUTED.stream, "scoring-runner-cases_executed")
        await producer.says(CASES_EXECUTED, last.executed(a_case()))
        await until_scored(house, last, 1)
    assert await house.statuses(run) == [(n, "passed") for n in range(30)]
    assert await house.tries() == []


async def test_what_nats_lost_is_read_from_the_outbox(
    house: House, producer: Producer, nats_server: NatsProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.gaps.WATCH_SECONDS", 0.3)
    run = Facts()
    await producer.says(CASES_EXECUTED, *(run.executed(a_case(n)) for n in range(20)))
    await producer.published()
    nats_server.wipe()
    async with hearing(house, producer, overdue_after=0.5):
        await until_scored(house, run, 20)
    assert await house.statuses(run) == [(n, "passed") for n in range(20)]
    assert await house.tries() == []


async def test_an_event_waits_for_the_catalog_and_holds_up_no_other(house: House, producer: Producer, server: ChatServer) -> None:
    run, other = Facts(), Facts()
    house.catalog.judges_for(run, server.base_url)
    house.catalog.away = True
    await producer.says(CASES_EXECUTED, run.executed(a_case(test_method="semantic_quality")), other.executed(a_case()))
    async with hearing(house, producer):
        await until_scored(house, other, 1)
        assert await house.stored(run) == []
        house.catalog.away = False
        await until_scored(house, run, 1)
    assert await house.statuses(run) == [(0, "passed")]
    assert await house.tries() == []


async def test_deleted_runs_are_marked(house: House, producer: Producer) -> None:
    run = Facts()

    async def marked() -> object:
        return await house.fetch("SELECT 1 FROM removals WHERE run_id = $1", run.id)

    async with hearing(house, producer):
        await producer.says(RUN_DELETED, run.deleted())
        await until(20, marked)


# The service as a process


@contextlib.contextmanager
def process(urls: dict[str, str], nats_url: str, peer: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "PYTHONPATH": ".:gen",
        "ASSAY_POSTGRES_URL": urls["scoring"],
        "ASSAY_NATS_URL": nats_url,
        "ASSAY_LISTEN": f"127.0.0.1:{ports.any_free()}",
        "ASSAY_CATALOG_ADDRESS": peer,
        "ASSAY_RUNNER_ADDRESS": peer,
        "ASSAY_SERVICE_KEY": SERVICE_KEY,
        "ASSAY_JWT_ISSUERS": json.dumps([]),
        "ASSAY_MODEL_DIR": str(directory()),
        "ASSAY_LEASE_SECONDS": str(ACK_WAIT),
        "ASSAY_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    started = subprocess.Popen([sys.executable, "-m", "services.scoring"], env=environment, stdout=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


async def test_what_a_killed_process_had_in_hand_is_scored_once_by_the_next(
    urls: dict[str, str], nats_url: str, house: House, producer: Producer, server: ChatServer
) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    server.delay_seconds = 3
    async with serving(
        lambda grpc_server: add_CatalogInternalServiceServicer_to_server(house.catalog, grpc_server),
        lambda grpc_server: add_OutboxServiceServicer_to_server(OutboxServicer("runner", producer.database), grpc_server),
    ) as peer:
        await producer.says(CASES_EXECUTED, run.executed(a_case(0), a_case(1, "It takes five days.", test_method="semantic_quality")))
        with process(urls, nats_url, peer) as killed:
            await until(STARTED_WITHIN, lambda: _asked(server))
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        assert await house.stored(run) == []
        server.delay_seconds = 0
        with process(urls, nats_url, peer) as stopped:
            await until_scored(house, run, 2, STARTED_WITHIN)
            stopped.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(stopped.wait, 60) == 0
    assert await house.statuses(run) == [(0, "passed"), (1, "passed")]
    assert await house.tries() == []


async def _asked(server: ChatServer) -> bool:
    return bool(server.requests)
