"""The servers that every other test stands on are real and isolated from each other."""

import asyncpg
import nats as nats_client
import pytest

from tests.servers import NatsProcess, PostgresServer


async def test_a_service_reads_and_writes_only_its_own_schema(postgres: PostgresServer) -> None:
    urls = postgres.create(["runner", "scoring"])
    runner = await asyncpg.connect(urls["runner"])
    scoring = await asyncpg.connect(urls["scoring"])
    try:
        await runner.execute("CREATE TABLE only_here (id int)")
        assert await runner.fetchval("SELECT to_regclass('runner.only_here') IS NOT NULL")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await scoring.execute("SELECT id FROM runner.only_here")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await scoring.execute("CREATE TABLE public.elsewhere (id int)")
    finally:
        await runner.close()
        await scoring.close()


async def test_two_databases_of_the_same_services_do_not_see_each_other(postgres: PostgresServer) -> None:
    first = await asyncpg.connect(postgres.create(["runner"])["runner"])
    second = await asyncpg.connect(postgres.create(["runner"])["runner"])
    try:
        await first.execute("CREATE TABLE only_first (id int)")
        assert await second.fetchval("SELECT to_regclass('only_first') IS NULL")
    finally:
        await first.close()
        await second.close()


async def test_the_owner_sees_every_schema(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.create(["catalog", "reporting"])["assay"])
    try:
        names = await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname IN ('catalog', 'reporting')")
        assert len(names) == 2
    finally:
        await connection.close()


async def test_wiping_nats_leaves_an_empty_server_on_the_same_address(nats_server: NatsProcess) -> None:
    client = await nats_client.connect(nats_server.url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.close()
    nats_server.wipe()
    client = await nats_client.connect(nats_server.url)
    assert (await client.jetstream().account_info()).streams == 0
    await client.close()
