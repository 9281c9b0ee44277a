"""The drill of deploy/BACKUP.md: Postgres alone is restored, NATS begins empty, and runs go on where the backup left them."""

import shutil
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import binaries, restored
from deploy.local.programs import told
from deploy.local.settings import DEFAULTS, Settings
from deploy.local.stack import Stack
from tests.suite.faults import Scene, a_scene, findings, wait_for
from tests.suite.target import chat_server

PRODUCERS = {"catalog": "catalog", "runner": "runner-1", "scoring": "scoring-1"}
CASES, CONCURRENCY = 100, 10
WITHIN = 60.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("backup"), Settings(passed={**DEFAULTS, "ASSAY_LEASE_SECONDS": "6"}))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def database(stack: Stack) -> str:
    return stack.env()["ASSAY_DATABASE_URL"]


def run(program: str, *arguments: str) -> None:
    subprocess.run([binaries.postgres(program), *arguments], check=True, capture_output=True)


def restore(stack: Stack, backup: Path) -> None:
    """Everything but Postgres stops; Postgres and NATS lose everything; the backup comes back; everything starts."""
    for name in stack.pids():
        if name != "postgres":
            stack.stop(name)
    shutil.rmtree(Path(stack.env()["ASSAY_NATS_STORE"]))
    maintenance, _, name = database(stack).rpartition("/")
    for sql in (f'DROP DATABASE "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"'):
        run("psql", f"{maintenance}/postgres", "--set=ON_ERROR_STOP=1", "--command", sql)
    run("pg_restore", f"--dbname={database(stack)}", "--exit-on-error", "--single-transaction", str(backup))
    for service, process in PRODUCERS.items():
        restored.begin(service, told(process, stack.folders)["ASSAY_POSTGRES_URL"])
    stack.up()


def half_way(scene: Scene, run_ids: list[str]) -> bool:
    return all(0 < scene.run(run_id)["completed_cases"] < CASES for run_id in run_ids)


@pytest.mark.timeout(240)
def test_runs_go_on_from_a_backup_of_postgres_alone(stack: Stack, tmp_path: Path) -> None:
    backup = tmp_path / "assay.dump"
    with chat_server(latency=0.4) as target:
        scene = a_scene(stack, target.base_url, cases=CASES, concurrency=CONCURRENCY)
        finished = scene.start(1)
        scene.await_end(finished, WITHIN)
        before = scene.run(finished[0])
        running = scene.start(2)
        assert wait_for(lambda: half_way(scene, running), bool, WITHIN)
        run("pg_dump", "--format=custom", f"--file={backup}", database(stack))
        lost = scene.start(1)  # of which the backup knows nothing
        scene.await_end(running, WITHIN)
        restore(stack, backup)
        assert scene.run(finished[0]) == before
        with pytest.raises(urllib.error.HTTPError, match="404"):
            scene.run(lost[0])
        later = scene.start(1)
        scene.await_end([*running, *later], WITHIN)
        assert {scene.run(run_id)["completed_cases"] for run_id in [*finished, *running, *later]} == {CASES}
        assert findings(stack, [*finished, *running, *later]) == {}
