"""The whole stack, in a folder of its own: up, down, up again, and every one of its processes killed."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import nats
import pytest

from deploy.local import processes
from deploy.local.processes import is_alive
from deploy.local.settings import Settings
from deploy.local.stack import Stack

NAMES = {"postgres", "nats", "envoy", "catalog", "runner-1", "scoring-1", "reporting"}
BACK_WITHIN = 30.0


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that these tests may put up and down."""
    stack = Stack(tmp_path_factory.mktemp("own stack"))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def ask(stack: Stack, method: str, path: str, headers: dict[str, str], body: object = None) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection(stack.env()["ASSAY_GRPC"], timeout=10)
    try:
        text = json.dumps(body) if body is not None else None
        connection.request(method, path, text, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


def bearer(stack: Stack, name: str = "ASSAY_TOKEN") -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.env()[name]}"}


def lists_contexts(stack: Stack) -> bool:
    try:
        return ask(stack, "GET", "/v1/contexts", bearer(stack))[0] == 200
    except OSError:
        return False


def stream_folders(stack: Stack) -> set[str]:
    return {path.name for path in Path(stack.env()["ASSAY_NATS_STORE"]).glob("jetstream/*/streams/*")}


def seconds_until(holds: Callable[[], bool], within: float = BACK_WITHIN) -> float:
    start = time.monotonic()
    while not holds():
        assert time.monotonic() < start + within, "not in time"
        time.sleep(0.05)
    return time.monotonic() - start


def test_every_process_of_the_pid_file_runs(own: Stack) -> None:
    pids = own.pids()
    assert pids.keys() == NAMES
    assert all(is_alive(pid) for pid in pids.values())


@pytest.mark.parametrize(
    ("credential", "status"),
    [("ASSAY_TOKEN", 200), ("ASSAY_JWT", 200), ("ASSAY_OTHER_TOKEN", 200), ("ASSAY_PLAIN_TOKEN", 403), ("ASSAY_URL", 401)],
)
def test_each_bearer_of_the_environment_is_what_its_name_says(own: Stack, credential: str, status: int) -> None:
    assert ask(own, "GET", "/v1/contexts", bearer(own, credential))[0] == status


def test_the_pair_of_keys_is_accepted(own: Stack) -> None:
    env = own.env()
    assert ask(own, "GET", "/v1/contexts", {"X-Api-Key": env["ASSAY_API_KEY"], "X-Secret-Key": env["ASSAY_SECRET_KEY"]})[0] == 200


async def test_the_database_url_sees_every_service(own: Stack) -> None:
    connection = await asyncpg.connect(own.env()["ASSAY_DATABASE_URL"])
    try:
        schemas = await connection.fetch("SELECT schemaname FROM pg_tables WHERE tablename = 'outbox'")
        assert {row["schemaname"] for row in schemas} >= {"catalog", "runner", "scoring"}
    finally:
        await connection.close()


async def test_the_nats_url_and_its_store_belong_together(own: Stack) -> None:
    client = await nats.connect(own.env()["ASSAY_NATS_URL"])
    try:
        streams = {stream.config.name for stream in await client.jetstream().streams_info()}
        assert streams == stream_folders(own)
        assert streams >= {"WORK", "EVENTS"}
    finally:
        await client.close()


def test_a_second_up_changes_nothing(own: Stack) -> None:
    before = own.pids()
    own.up()
    assert own.pids() == before


@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_is_killed_comes_back_under_another_pid(own: Stack, name: str) -> None:
    pid = own.kill(name)
    seconds_until(lambda: own.pids()[name] != pid)
    seconds_until(lambda: lists_contexts(own))
    own.up()
    assert is_alive(own.pids()[name])


def test_nats_comes_back_empty_when_its_store_is_removed_while_it_is_killed(own: Stack) -> None:
    pid = own.kill("nats")
    shutil.rmtree(own.env()["ASSAY_NATS_STORE"])
    seconds_until(lambda: own.pids()["nats"] != pid)
    seconds_until(lambda: stream_folders(own) >= {"WORK", "EVENTS"})


def test_workers_are_added_and_taken_away_while_it_runs(own: Stack) -> None:
    Stack(own.directory, Settings(runners=2)).up()
    assert own.pids().keys() == NAMES | {"runner-2"}
    second = own.pids()["runner-2"]
    own.up()
    assert own.pids().keys() == NAMES
    assert not is_alive(second)
    assert lists_contexts(own)


def test_after_down_nothing_runs_and_the_next_up_goes_on_where_it_was(own: Stack) -> None:
    created, _ = ask(own, "POST", "/v1/connections", bearer(own), {"name": "kept", "kind": "builtin", "model": "echo"})
    env, before = own.env(), own.pids()
    assert own.down()
    assert not [pid for pid in before.values() if is_alive(pid)]
    assert processes.find(own.folders.root, own.folders.root / "postgres") == []
    assert not own.down()
    own.up()
    assert own.env() == env
    names = [item["name"] for item in ask(own, "GET", "/v1/connections", bearer(own))[1]["items"]]  # type: ignore[attr-defined]
    assert created == 201
    assert "kept" in names


def test_up_mends_a_stack_whose_supervisor_was_killed(own: Stack) -> None:
    supervisor = next(found.pid for found in processes.find(own.folders.root, own.folders.root / "postgres") if found.name == "supervisord")
    os.kill(supervisor, signal.SIGKILL)
    own.up()
    assert lists_contexts(own)
    assert all(is_alive(pid) for pid in own.pids().values())


def test_down_ends_a_process_that_is_stopped_by_a_signal(own: Stack) -> None:
    own.kill("envoy", signal.SIGSTOP)
    assert own.down()
    assert processes.find(own.folders.root, own.folders.root / "postgres") == []
    own.up()


def test_down_finds_what_runs_of_a_stack_whose_folder_was_removed(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    program = subprocess.Popen(["sleep", "1000"], env={"ASSAY_STACK": str(folder), "ASSAY_PROCESS": "runner-1"})
    assert Stack(folder).down()
    assert program.wait(5) == -signal.SIGTERM


def test_two_stacks_do_not_meet(own: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path / "other")
    try:
        other.up()
        assert set(other.ports().values()).isdisjoint(own.ports().values())
        assert ask(other, "GET", "/v1/contexts", bearer(own))[0] == 401
    finally:
        other.down()
    assert lists_contexts(own)
