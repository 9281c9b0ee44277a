"""The producer's side of the gap watch."""

from collections.abc import AsyncIterator

import grpc
import pytest

from assay.common.internal.v1 import outbox_pb2
from shared.channels import Authenticated
from tests.servers import NatsProcess
from tests.shared.hop import PRODUCER, TOPIC, Hop, hop, named
from tests.shared.waiting import until


@pytest.fixture
async def running(ends: tuple[str, str], nats_server: NatsProcess) -> AsyncIterator[Hop]:
    async with hop(ends, nats_server.url) as made:
        yield made


async def until_head(stub: Authenticated, head: int) -> None:
    async def there() -> bool:
        return bool((await stub.Head(outbox_pb2.HeadRequest(topic=TOPIC.name))).head == head)

    await until(there)


async def test_a_range_is_streamed_in_order_and_what_is_not_there_left_out(running: Hop) -> None:
    stub = running.outboxes[PRODUCER]
    await running.say(*named(130))
    await until_head(stub, 130)
    async with running.produced.transaction() as connection:
        await connection.execute("DELETE FROM outbox WHERE seq IN (60, 61)")
    found = [event.seq async for event in stub.ReadOutbox(outbox_pb2.ReadOutboxRequest(topic=TOPIC.name, from_seq=5, to_seq=1000))]
    assert found == [seq for seq in range(5, 131) if seq not in (60, 61)]


async def test_only_those_that_must_hear_a_topic_hold_its_rows(running: Hop) -> None:
    stub = running.outboxes[PRODUCER]
    for consumer in ("reporting", "catalog", "nobody"):
        await stub.Head(outbox_pb2.HeadRequest(topic=TOPIC.name, consumer=consumer, watermark=3))
    async with running.produced.connection() as connection:
        assert await connection.fetchval("SELECT array_agg(consumer) FROM outbox_readers") == ["reporting"]


@pytest.mark.parametrize("topic", ["", "scoring.cases_scored", "runner.unknown"])
async def test_another_services_topic_is_not_found(running: Hop, topic: str) -> None:
    stub = running.outboxes[PRODUCER]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Head(outbox_pb2.HeadRequest(topic=topic))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ReadOutbox(outbox_pb2.ReadOutboxRequest(topic=topic, from_seq=1, to_seq=9)).read()
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
