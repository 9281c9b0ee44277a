"""The whole service as `__main__` plugs it together: what producers publish is what callers read."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from assay.common.internal.v1 import outbox_pb2, outbox_pb2_grpc
from assay.reporting.v1 import reports_pb2 as pb, reports_pb2_grpc
from assay.runner.internal.v1.runner_pb2_grpc import add_RunnerInternalServiceServicer_to_server
from assay.runner.v1 import runs_pb2
from deploy.local import ports
from services.reporting.__main__ import Config, build
from services.reporting.feed import Feed
from shared.channels import open_channel
from shared.gaps import GapWatch
from shared.interceptors import Context
from shared.jetstream import Broker
from shared.outbox import SEQ_HEADER
from shared.postgres import Database, open_pool
from shared.topics import CASES_SCORED, RUN_DELETED, RUN_FINISHED, RUN_STARTED, SUBJECT_DELETED, Topic
from tests.servers import NatsProcess
from tests.services.reporting.builders import Facts, in_parts, scored
from tests.services.reporting.peers import SERVICE_KEY, RunnerPeer, peers, serving
from tests.services.reporting.servicers.conftest import USER_KEY, as_user, refused

TOPIC_OF = {topic.message: topic for topic in (CASES_SCORED, RUN_STARTED, RUN_FINISHED, RUN_DELETED, SUBJECT_DELETED)}


@dataclass
class Producers(outbox_pb2_grpc.OutboxServiceServicer):
    """The outboxes of the other services, and their relays."""

    broker: Broker
    outbox: dict[str, list[bytes]] = field(default_factory=dict)

    async def publish(self, message: Message, *, lost: bool = False) -> None:
        topic: Topic = TOPIC_OF[type(message)]
        rows = self.outbox.setdefault(topic.name, [])
        rows.append(message.SerializeToString())
        if not lost:
            await self.broker.publish(topic, rows[-1], {SEQ_HEADER: str(len(rows))})

    async def Head(self, request: outbox_pb2.HeadRequest, context: Context) -> outbox_pb2.HeadResponse:  # noqa: ARG002 gRPC's signature
        return outbox_pb2.HeadResponse(head=len(self.outbox.get(request.topic, [])))

    async def ReadOutbox(self, request: outbox_pb2.ReadOutboxRequest, context: Context) -> AsyncIterator[outbox_pb2.OutboxEvent]:  # noqa: ARG002 the same
        for seq in range(request.from_seq, request.to_seq + 1):
            yield outbox_pb2.OutboxEvent(seq=seq, payload=self.outbox[request.topic][seq - 1])


@dataclass
class Stack:
    """Reporting as a process would run it, the producers' side, and a caller's stub."""

    reports: Any
    producers: Producers
    runner: RunnerPeer


@pytest.fixture
async def stack(url: str, nats_server: NatsProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stack]:
    monkeypatch.setattr(GapWatch.__init__, "__defaults__", (1.0,))  # seconds until a gap is overdue
    monkeypatch.setattr("shared.gaps.WATCH_SECONDS", 0.5)
    nats_server.wipe()
    broker = Broker(nats_server.url, "producers")
    broker.start()
    await broker.ready()
    producers, (runner, _) = Producers(broker), peers()
    database = Database(await open_pool(url, 8))
    async with (
        serving(
            lambda server: outbox_pb2_grpc.add_OutboxServiceServicer_to_server(producers, server),
            lambda server: add_RunnerInternalServiceServicer_to_server(runner, server),
        ) as peer,
        database.connection() as connection,
    ):
        await connection.execute("TRUNCATE inbox, inbox_watermarks")
        listen = f"127.0.0.1:{ports.any_free()}"
        issuers = json.dumps([{"issuer": "assay", "algorithms": ["HS256"], "key": USER_KEY}])
        settings = Config(
            postgres_url=url,
            nats_url=nats_server.url,
            listen=listen,
            catalog_address=peer,
            runner_address=peer,
            scoring_address=peer,
            service_key=SERVICE_KEY,
            jwt_issuers=issuers,
            lease_seconds=2.0,
        )
        app = build(settings, database)
        server = grpc.aio.server(interceptors=[app.boundary])
        app.register(server)
        server.add_insecure_port(listen)
        await app.ready()
        await server.start()
        tasks = [asyncio.create_task(task()) for task in app.tasks]
        channel = open_channel(listen)
        yield Stack(reports_pb2_grpc.ReportServiceStub(channel), producers, runner)
        await channel.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert app.drain is not None
        assert app.close is not None
        await app.drain()
        await server.stop(1)
    await app.close()
    await broker.close()


async def until(stack: Stack, run: Facts, status: int) -> runs_pb2.Run:
    """The run once it reads so."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                found: runs_pb2.Run = await stack.reports.GetRun(pb.GetRunRequest(run_id=str(run.id)), metadata=as_user(run.workspace))
                if found.status == status:
                    return found
            await asyncio.sleep(0.05)


async def test_what_is_published_is_read(stack: Stack) -> None:
    run = Facts(total=200)
    stack.runner.knows(run.state())
    await stack.producers.publish(run.started())
    for part in in_parts([scored(n) for n in range(200)], 8):
        await stack.producers.publish(run.scored(*part))
    await stack.producers.publish(run.finished())
    found = await until(stack, run, runs_pb2.Run.completed)
    assert (found.completed_cases, found.pass_rate) == (200, 1.0)


async def test_what_nats_lost_is_read_from_the_outboxes(stack: Stack) -> None:
    run = Facts(total=12)
    stack.runner.knows(run.state())
    for number, part in enumerate(in_parts([scored(n) for n in range(12)], 2)):
        await stack.producers.publish(run.scored(*part), lost=number % 2 == 0)
    await stack.producers.publish(run.finished(), lost=True)
    found = await until(stack, run, runs_pb2.Run.completed)
    assert found.completed_cases == 12


async def test_a_stream_follows_what_is_published(stack: Stack) -> None:
    run = Facts(total=64)
    stack.runner.knows(run.state())
    await stack.producers.publish(run.started())
    call = stack.reports.StreamRunEvents(pb.StreamRunEventsRequest(run_id=str(run.id)), metadata=as_user(run.workspace))
    reading = asyncio.create_task(_text(call))
    for part in in_parts([scored(n) for n in range(64)], 4):
        await stack.producers.publish(run.scored(*part))
    await stack.producers.publish(run.finished())
    text = await asyncio.wait_for(reading, 20)
    assert [line for line in text.split("\n") if line.startswith("id: ")] == [f"id: {n}" for n in range(1, 67)]


async def _text(call: Any) -> str:
    return b"".join([body.data async for body in call]).decode()


async def test_deletes_are_heard(stack: Stack) -> None:
    run = Facts(total=1)
    other = Facts(total=1, workspace=run.workspace)
    stack.runner.knows(run.state(), other.state())
    for facts in (run, other):
        await stack.producers.publish(facts.scored(scored(0)))
        await stack.producers.publish(facts.finished())
        await until(stack, facts, runs_pb2.Run.completed)
    await stack.producers.publish(run.deleted())
    await stack.producers.publish(other.set_deleted())
    for facts in (run, other):
        await until_gone(stack, facts)


async def until_gone(stack: Stack, run: Facts) -> None:
    async with asyncio.timeout(20):
        with refused(grpc.StatusCode.NOT_FOUND):
            while True:
                await stack.reports.GetRun(pb.GetRunRequest(run_id=str(run.id)), metadata=as_user(run.workspace))
                await asyncio.sleep(0.05)


async def test_a_change_told_by_one_process_wakes_streams_of_another(database: Database, nats_url: str) -> None:
    brokers = [Broker(nats_url, name) for name in ("one", "other")]
    for broker in brokers:
        broker.start()
        await broker.ready()
    here, there = (Feed(database, broker) for broker in brokers)
    listening = asyncio.create_task(there.listen())
    await asyncio.sleep(0.3)
    await brokers[1].client.flush()  # returns once NATS knows of the subscription
    run, other = Facts(), Facts()
    with there.follow(run.id) as follower, there.follow(other.id) as unconcerned:
        await here.tell([run.id, Facts().id])
        await asyncio.wait_for(follower.changed.wait(), 10)
        assert not unconcerned.changed.is_set()
    assert there._followers == {}
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    for broker in brokers:
        await broker.close()
