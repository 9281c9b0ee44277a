"""What every service is told, and plugged together from."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from shared import config, service
from shared.config import ConfigError
from shared.jetstream import GIGABYTE, Broker
from shared.topics import EVENTS, RUN_DELETED, WORK
from tests.servers import NatsProcess

TOLD = {
    "ASSAY_POSTGRES_URL": "postgresql://localhost/assay",
    "ASSAY_NATS_URL": "nats://localhost",
    "ASSAY_LISTEN": "127.0.0.1:0",
    "ASSAY_SERVICE_KEY": "k" * 32,
    "ASSAY_JWT_ISSUERS": "[]",
    "ASSAY_CATALOG_ADDRESS": "dns:///catalog:50051",
    "ASSAY_RUNNER_ADDRESS": "ipv4:127.0.0.1:1,127.0.0.1:2",
}


@dataclass(frozen=True, kw_only=True)
class Settings(service.Settings):
    """A service with two peers."""

    catalog_address: str
    runner_address: str
    instance: str = "tests"


def settings(**told: str) -> Settings:
    return config.read(Settings, {**TOLD, **{f"ASSAY_{name.upper()}": value for name, value in told.items()}})


@asynccontextmanager
async def connected(told: Mapping[str, str]) -> AsyncIterator[Broker]:
    broker = service.open_broker(settings(**told))
    broker.start()
    try:
        await asyncio.wait_for(broker.ready(), 10)
        yield broker
    finally:
        await broker.close()


async def events_limit(broker: Broker) -> int | None:
    return (await broker.jetstream.stream_info(EVENTS)).config.max_bytes


def test_whoever_has_an_address_is_a_peer() -> None:
    assert settings().peers == {"catalog": "dns:///catalog:50051", "runner": "ipv4:127.0.0.1:1,127.0.0.1:2"}


def test_of_a_url_the_origin_is_what_a_browser_names() -> None:
    assert [service.origin(url) for url in ("https://assay.example/below/", "http://127.0.0.1:8080")] == [
        "https://assay.example",
        "http://127.0.0.1:8080",
    ]


async def test_a_stream_that_stands_already_gets_the_size_that_is_told(nats_server: NatsProcess) -> None:
    nats_server.wipe()
    async with connected({"nats_url": nats_server.url}) as broker:
        assert await events_limit(broker) == 2 * GIGABYTE
    for size in (3 * GIGABYTE, GIGABYTE):
        async with connected({"nats_url": nats_server.url, "nats_events_bytes": str(size)}) as broker:
            assert await events_limit(broker) == size
            assert (await broker.jetstream.stream_info(WORK)).config.max_bytes == -1


async def test_a_size_that_is_smaller_than_what_is_held_lets_go_of_the_oldest(nats_server: NatsProcess) -> None:
    nats_server.wipe()
    async with connected({"nats_url": nats_server.url}) as broker:
        for each in range(20):
            await broker.publish(RUN_DELETED, bytes([each]) * 10_000, {})
    async with connected({"nats_url": nats_server.url, "nats_events_bytes": "100000"}) as broker:
        await broker.publish(RUN_DELETED, b"news", {})
        held = (await broker.jetstream.stream_info(EVENTS)).state
        assert held.bytes <= 100_000
        assert 1 < held.messages < 20
        assert (await broker.jetstream.get_last_msg(EVENTS, RUN_DELETED.subject)).data == b"news"


def test_a_size_that_is_no_number_is_told_of() -> None:
    with pytest.raises(ConfigError, match="ASSAY_NATS_EVENTS_BYTES is not a valid int: '2Gi'"):
        settings(nats_events_bytes="2Gi")
