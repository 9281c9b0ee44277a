"""Migrations that are started at the same time, as by two jobs or two people, against a real Postgres."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from deploy.local import migrate as migrations
from deploy.local.migrate import MigrationFailedError, migrate
from tests.servers import PostgresServer
from tests.shared.waiting import until

HELD = 4711
BUILDS = f"SELECT true FROM pg_locks WHERE locktype = 'advisory' AND objid = {HELD} AND NOT granted"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'big_id'::regclass"


@pytest.fixture
def url(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The runner's schema, its migrations followed by a table, by what waits while HELD is, and by an index that is made under load."""
    steps = {
        "9001_table": "-- migrate:up\nCREATE TABLE big (id int);",
        "9002_slow": f"-- migrate:up\nSELECT pg_advisory_xact_lock({HELD});",
        "9003_index": "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY big_id ON big (id);",
    }
    url = postgres.create(["runner"])["runner"]
    for name, text in steps.items():
        (tmp_path / f"{name}.sql").write_text(f"{text}\n-- migrate:down\n")
    monkeypatch.setattr(migrations, "migrations_of", lambda _: tmp_path)
    return url


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


async def test_migrations_at_once_wait_for_each_other_and_no_index_waits_for_them(url: str, pool: ThreadPoolExecutor) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"SELECT pg_advisory_lock({HELD})")
    first = pool.submit(migrate, "runner", url)

    async def is_at_it() -> bool:
        return bool(await connection.fetchval(BUILDS))

    await until(is_at_it)
    others = [pool.submit(migrate, "runner", url) for _ in range(2)]
    await asyncio.sleep(1)  # long enough for them to come to wait
    await connection.execute(f"SELECT pg_advisory_unlock({HELD})")
    for each in (first, *others):
        each.result(60)
    assert await connection.fetchval(VALID)
    await connection.close()


async def test_one_that_waits_for_too_long_says_why(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "PATIENCE_SECONDS", 0.3)
    holder = await asyncpg.connect(url)
    await holder.execute("SELECT pg_advisory_lock(hashtext('assay.migrations'))")
    with pytest.raises(MigrationFailedError, match="migrating runner: another migration of this database is still going on"):
        migrate("runner", url)
    assert await holder.fetchval("SELECT to_regclass('big') IS NULL")
    await holder.close()
    migrate("runner", url)


def test_a_postgres_that_is_away_is_told_of(url: str) -> None:
    away = url.replace(f":{url.rpartition(':')[2].partition('/')[0]}/", ":1/")
    with pytest.raises(MigrationFailedError, match=r"migrating runner: .*Connect call failed"):
        migrate("runner", away)
