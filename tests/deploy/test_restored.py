"""The image's command after a restore: each outbox goes on beyond what was ever numbered, unless its service still runs."""

import subprocess
import sys
from collections.abc import Mapping

import asyncpg
import pytest

from deploy.local.environment import inherited_environment, python_environment
from tests.servers import PostgresServer

PRODUCERS = ("catalog", "runner", "scoring")


@pytest.fixture(scope="module")
def urls(postgres: PostgresServer) -> dict[str, str]:
    return postgres.create(PRODUCERS)


def restored(urls: Mapping[str, str], *services: str) -> "subprocess.CompletedProcess[str]":
    told = {f"ASSAY_{name.upper()}_POSTGRES_URL": urls[name] for name in PRODUCERS}
    command = [sys.executable, "-m", "deploy.docker.service", "restored", *services]
    environment = {**inherited_environment(), **python_environment(), **told}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


async def test_every_topic_of_every_producer_goes_on_elsewhere(urls: dict[str, str]) -> None:
    done = restored(urls)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == list(PRODUCERS)
    connection = await asyncpg.connect(urls["runner"])
    try:
        holes = await connection.fetch("SELECT topic, after FROM outbox_holes ORDER BY topic")
        heads = await connection.fetchval("SELECT min(head) FROM outbox_heads")
    finally:
        await connection.close()
    topics = ["cases_executed", "run_deleted", "run_finished", "run_started", "tickets"]
    assert [tuple(hole) for hole in holes] == [(f"runner.{topic}", 0) for topic in topics]
    assert heads > 10**15


async def test_it_refuses_while_a_service_runs(urls: dict[str, str]) -> None:
    relay = await asyncpg.connect(urls["scoring"])
    try:
        await relay.execute("SELECT pg_advisory_lock(hashtext('assay.relay.scoring'))")
        done = restored(urls)
    finally:
        await relay.close()
    assert (done.returncode, done.stderr) == (1, "scoring is running; stop it first\n")


def test_who_has_no_outbox_is_not_taken(urls: dict[str, str]) -> None:
    done = restored(urls, "reporting")
    assert done.returncode == 2
    assert "restored [catalog|runner|scoring ...]" in done.stderr


def test_a_database_that_is_still_empty_is_told_as_such(postgres: PostgresServer) -> None:
    empty = postgres.create([])["assay"]
    done = restored(dict.fromkeys(PRODUCERS, empty))
    assert (done.returncode, done.stdout) == (1, "")
    assert "restore its schema" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_away_is_told_as_such() -> None:
    done = restored(dict.fromkeys(PRODUCERS, "postgresql://nobody:none@127.0.0.1:1/assay"))
    assert done.returncode == 1
    assert done.stderr.startswith("catalog: ")
    assert "Traceback" not in done.stderr
