"""Two runners and two scorers share one run evenly, and keep a connection's limits together, also while one of them dies."""

import asyncio
import json
import operator
import subprocess
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local import plan
from deploy.local.environment import inherited_environment
from deploy.local.programs import told
from deploy.local.settings import DEFAULTS, Settings
from deploy.local.stack import Stack
from tests.suite.builders import Builders, Json
from tests.suite.client import Client
from tests.suite.faults import findings, wait_for
from tests.suite.shares import EXECUTED, SCORED, count, shares
from tests.suite.target import ChatServer, chat_server, serving

LEASE = 6
CONCURRENCY, PER_MINUTE = 40, 600
# Each of two has half of it, give or take 20 %.
LEAST, MOST = 0.4, 0.6
LATE = 10
JUDGED_AT_ONCE = 8
CRITERIA = ("answers_question", "consistent_with_expected", "complete", "no_contradiction")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("shared"), Settings(runners=2, scorers=2, passed={**DEFAULTS, "ASSAY_LEASE_SECONDS": str(LEASE)}))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def build(stack: Stack) -> Builders:
    env = stack.env()
    return Builders(Client(urlsplit(env["ASSAY_URL"]).netloc, {"authorization": f"Bearer {env['ASSAY_TOKEN']}"}))


@pytest.fixture
def target() -> Iterator[ChatServer]:
    with chat_server(latency=0.1) as server:
        yield server


def a_set(build: Builders, target: ChatServer, cases: int, **limits: int) -> Json:
    """An independent set against the target, on a connection with these limits."""
    test_set = build.test_set(build.context(build.endpoint(target.base_url, **limits)))
    build.rows(test_set, [f"question {number},x,exact_match" for number in range(cases)])
    return test_set


def ended_though_one_was_killed(stack: Stack, build: Builders, target: ChatServer, test_set: Json) -> Json:
    """A run that lost a runner after a fifth of its cases, and got it back before the last."""
    run = build.run(test_set)
    asked = wait_for(lambda: len(target.began), lambda calls: calls >= run["total_cases"] / 5, within=30)
    assert asked < run["total_cases"]
    stack.kill("runner-1")
    return build.ended(run, within=60)


@pytest.mark.timeout(120)
def test_one_run_is_shared_evenly_and_keeps_the_limit(stack: Stack, build: Builders, target: ChatServer) -> None:
    target.latency = 0.4  # so that the target is what is waited for, whoever else takes the cores
    test_set = a_set(build, target, cases=2000, max_concurrency=CONCURRENCY)
    executed, scored = count(stack.ports(), EXECUTED), count(stack.ports(), SCORED)
    run = build.ended(build.run(test_set), within=60)
    assert run["completed_cases"] == len(target.began) == 2000
    parts = shares(executed, count(stack.ports(), EXECUTED)) | shares(scored, count(stack.ports(), SCORED))
    assert set(parts) == {"runner-1", "runner-2", "scoring-1", "scoring-2"}
    assert all(LEAST <= part <= MOST for part in parts.values()), parts
    assert CONCURRENCY / 2 < target.most_in_flight <= CONCURRENCY


@pytest.mark.timeout(120)
def test_the_calls_at_once_of_a_connection_are_never_exceeded_while_a_runner_dies_and_comes_back(
    stack: Stack, build: Builders, target: ChatServer
) -> None:
    target.latency = 0.3
    test_set = a_set(build, target, cases=1500, max_concurrency=CONCURRENCY)
    run = ended_though_one_was_killed(stack, build, target, test_set)
    assert run["completed_cases"] == 1500
    assert CONCURRENCY / 2 < target.most_in_flight <= CONCURRENCY
    assert count(stack.ports(), EXECUTED)["runner-1"] > 0  # counted anew since it came back
    assert findings(stack, [run["id"]]) == {}


async def expired(stack: Stack, run: Json) -> int:
    """How often a lease of this run's cases ran out, as their rows count it."""
    connection = await asyncpg.connect(stack.env()["ASSAY_DATABASE_URL"])
    try:
        return int(await connection.fetchval("SELECT sum(expiries) FROM runner.run_cases WHERE run_id = $1", run["id"]))
    finally:
        await connection.close()


@pytest.mark.timeout(180)
def test_a_runner_that_is_told_to_end_finishes_its_calls_and_the_other_goes_on_at_once(
    stack: Stack, build: Builders, target: ChatServer
) -> None:
    target.latency = 1.0
    test_set = a_set(build, target, cases=800, max_concurrency=CONCURRENCY)
    run = build.run(test_set)
    for asked, name in ((100, "runner-1"), (300, "runner-2"), (500, "runner-1")):
        wait_for(lambda: len(target.began), partial(operator.le, asked), within=60)
        stack.stop(name)  # SIGTERM
        stack.start(name)
    run = build.ended(run, within=60)
    assert run["completed_cases"] == len(target.calls) == 800
    assert set(target.calls.values()) == {1}  # what was asked was waited for: nobody pays twice for an upgrade
    assert CONCURRENCY / 2 < target.most_in_flight <= CONCURRENCY
    assert asyncio.run(expired(stack, run)) == 0
    assert findings(stack, [run["id"]]) == {}


@pytest.mark.timeout(120)
def test_the_calls_a_minute_of_a_connection_hold_over_all_runners_while_one_dies(stack: Stack, build: Builders, target: ChatServer) -> None:
    test_set = a_set(build, target, cases=150, max_concurrency=CONCURRENCY, requests_per_minute=PER_MINUTE)
    run = ended_though_one_was_killed(stack, build, target, test_set)
    assert run["completed_cases"] == 150
    allowed = (target.began[-1] - target.began[0]) * PER_MINUTE / 60
    # Each process may begin at once, the restarted one too; and what a busy machine sent late may arrive together.
    assert len(target.began) <= allowed + 3 + LATE


class JudgeServer(ChatServer):
    """Finds every answer right."""

    def answer(self, question: str, key: str) -> str:
        """The verdict on whatever is asked."""
        super().answer(question, key)
        asked = ("holds",) if "Is 7 greater than 3?" in question else CRITERIA
        return json.dumps({"reasoning": "It says the same.", **dict.fromkeys(asked, True)})


@pytest.fixture
def judge(stack: Stack, build: Builders) -> Iterator[JudgeServer]:
    """Judges for the workspace, eight calls at a time."""
    with serving(JudgeServer(latency=0.2)) as server:
        connection = build.endpoint(server.base_url, max_concurrency=JUDGED_AT_ONCE)
        command = plan.admin_command("judge", "set", "--workspace", stack.env()["ASSAY_WORKSPACE_ID"], "--connection", connection["id"])
        subprocess.run(command, env={**inherited_environment(), **told("catalog", stack.folders)}, check=True, capture_output=True)
        yield server


@pytest.mark.timeout(180)
def test_the_calls_at_once_of_a_judge_are_never_exceeded_by_two_scorers_while_one_dies(
    stack: Stack, build: Builders, target: ChatServer, judge: JudgeServer
) -> None:
    test_set = build.test_set(build.context(build.endpoint(target.base_url, max_concurrency=CONCURRENCY)))
    build.rows(test_set, [f"question {number},x,semantic_quality" for number in range(200)])
    run = build.run(test_set)
    assert wait_for(lambda: len(judge.began), lambda calls: calls >= 40, within=30) < 200
    stack.kill("scoring-1")
    run = build.ended(run, within=90)
    assert (run["passed_cases"], run["error_cases"]) == (200, 0)
    assert JUDGED_AT_ONCE / 2 < judge.most_in_flight <= JUDGED_AT_ONCE
    assert count(stack.ports(), SCORED)["scoring-2"] > 0
    assert findings(stack, [run["id"]]) == {}
