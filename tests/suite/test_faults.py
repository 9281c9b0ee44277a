"""Nothing is lost and nothing doubled, whatever dies. Every process is real, and killed by its pid."""

import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.settings import DEFAULTS, Settings
from deploy.local.stack import Stack
from tests.suite.faults import a_scene, findings, wait_for
from tests.suite.target import ChatServer, chat_server

LEASE = 6
RECOVERY = 30.0
VICTIMS = ("catalog", "runner-1", "runner-2", "scoring-1", "scoring-2", "reporting", "nats", "postgres", "envoy")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("faults"), Settings(runners=2, scorers=2, passed={**DEFAULTS, "ASSAY_LEASE_SECONDS": str(LEASE)}))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture
def target() -> Iterator[ChatServer]:
    with chat_server(latency=0.1) as server:
        yield server


@pytest.mark.timeout(180)
def test_twenty_kills_during_ten_runs_lose_and_double_nothing(stack: Stack, target: ChatServer) -> None:
    scene = a_scene(stack, target.base_url, cases=100, concurrency=3)
    runs = scene.start(10)
    seed = time.time_ns()
    chance = random.Random(seed)  # noqa: S311 picks victims
    for _ in range(20):
        stack.kill(chance.choice(VICTIMS))
        time.sleep(chance.uniform(0.5, 3.0))
    scene.await_end(runs, within=90)
    assert findings(stack, runs) == {}, f"seed {seed}"
    assert {scene.run(run)["completed_cases"] for run in runs} == {100}


@pytest.mark.timeout(150)
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_run_completes_by_itself_after_any_one_process_was_killed(stack: Stack, target: ChatServer, victim: str) -> None:
    scene = a_scene(stack, target.base_url, cases=100, concurrency=10)
    runs = scene.start(2)
    time.sleep(0.5)
    stack.kill(victim)
    scene.await_end(runs, within=RECOVERY)
    assert findings(stack, runs) == {}


@pytest.mark.timeout(150)
def test_a_nats_store_that_was_wiped_in_mid_run_costs_seconds_and_no_event(stack: Stack, target: ChatServer) -> None:
    scene = a_scene(stack, target.base_url, cases=100, concurrency=10)
    runs = scene.start(4)
    time.sleep(1.0)
    stack.kill("nats")
    shutil.rmtree(Path(stack.env()["ASSAY_NATS_STORE"]), ignore_errors=True)
    scene.await_end(runs, within=60)
    assert findings(stack, runs) == {}


@pytest.mark.timeout(150)
def test_a_worker_that_was_stopped_past_its_lease_writes_nothing_stale(stack: Stack, target: ChatServer) -> None:
    scene = a_scene(stack, target.base_url, cases=100, concurrency=10)
    runs = scene.start(4)
    # Both workers are in the middle of it by then, so that what one of them holds is asked a second time.
    assert wait_for(lambda: sum(target.calls.values()), lambda calls: calls >= 50, within=RECOVERY) >= 50
    stack.kill("runner-1", signal.SIGSTOP)
    try:
        time.sleep(LEASE * 2.5)
    finally:
        stack.kill("runner-1", signal.SIGCONT)
    scene.await_end(runs, within=RECOVERY)
    # Some cases were asked twice, each time answered differently: the oracle sees whether the wrong answer was kept.
    assert max(target.calls.values()) > 1
    assert findings(stack, runs) == {}
