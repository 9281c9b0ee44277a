"""A schedule fires in its minute, once, whatever happens to the runners. A stack of its own: one of its runners is killed."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from deploy.local.settings import DEFAULTS, Settings
from deploy.local.stack import Stack
from tests.suite.faults import Client, wait_for

MINUTE, LATE_IN_MINUTE = 60, 50
PROMISED_SECONDS = 2
TESTS = "/v2/ai/assistants/tests"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("schedules"), Settings(runners=2, passed=dict(DEFAULTS)))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.mark.timeout(240)
def test_it_fires_once_within_two_seconds_also_when_a_runner_was_killed(stack: Stack) -> None:
    client = Client(stack.env()["ASSAY_URL"], stack.env()["ASSAY_TOKEN"])
    if time.time() % MINUTE > LATE_IN_MINUTE:  # the minute might be over before the schedule is heard of
        time.sleep(MINUTE - LATE_IN_MINUTE)
    test = scheduled(client)
    first = (time.time() // MINUTE + 1) * MINUTE
    sleep_until(first + PROMISED_SECONDS)
    with_both = wait_for(lambda: fired(client, test), lambda seen: len(seen) >= 1, within=10)
    sleep_until(first + MINUTE - 0.5)
    stack.kill("runner-1")
    sleep_until(first + MINUTE + PROMISED_SECONDS)
    # What is read has come by NATS too, and may take longer than the promise: that is kept by `created_at`.
    runs = wait_for(lambda: fired(client, test), lambda seen: len(seen) >= 2, within=10)
    assert [len(with_both), len(runs)] == [1, 2]
    assert [run["triggered_by"] for run in runs] == ["cron", "cron"]
    late = [made_at(run) - at for run, at in zip(reversed(runs), (first, first + MINUTE), strict=True)]
    assert all(0 <= seconds < PROMISED_SECONDS for seconds in late), late
    ended = wait_for(lambda: fired(client, test), lambda seen: all(run["status"] == "passed" for run in seen[-2:]), within=30)
    assert [run["status"] for run in ended] == ["passed", "passed"]


def scheduled(client: Client) -> str:
    """The id of a test that an echo passes every minute."""
    assistant = client.call("POST", "/v2/ai/assistants", {"name": "echo", "instructions": "echo"})["id"]
    rubric = [{"name": "greets", "criteria": "contains: hello"}]
    body = {"name": "every minute", "destination": assistant, "instructions": "hello", "rubric": rubric, "schedule": "* * * * *"}
    test_id: str = client.call("POST", TESTS, body)["test_id"]
    return test_id


def fired(client: Client, test: str) -> list[Any]:
    """The runs of a test, newest first."""
    runs: list[Any] = client.call("GET", f"{TESTS}/{test}/runs")["data"]
    return runs


def made_at(run: Any) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(run["created_at"]).timestamp()


def sleep_until(moment: float) -> None:
    """Nothing if it is past."""
    time.sleep(max(0.0, moment - time.time()))
