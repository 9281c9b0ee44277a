"""What time takes away, on a whole stack: the cases of ended runs, which nobody misses, and whole runs where that is wished."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local.settings import DEFAULTS, Settings
from deploy.local.stack import Stack
from tests.suite import oracle
from tests.suite.builders import RUNS, Builders, made
from tests.suite.client import Answer, Client
from tests.suite.family_builders import Prompts, Simulations, eventually
from tests.suite.family_scenes import FAMILY_OPERATIONS, a_family_scene
from tests.suite.scenes import OPERATIONS, Operation, Scene, a_scene
from tests.suite.test_not_found import essence

T = TypeVar("T")
DAYS = 7
LONG = "long " * 4000  # more than an event carries: reporting asks the runner for it
PATIENCE = 60
# What a client may still say of a run that ended, answered without any effect.
LATE = ("cancel run", "record completion", "record trace", "close project run", "take calls", "send message", "end call")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two runners, so that two prune."""
    passed = {**DEFAULTS, "ASSAY_RUN_RETENTION_DAYS": str(DAYS)}
    stack = Stack(tmp_path_factory.mktemp("retention"), Settings(runners=2, passed=passed))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    env = stack.env()
    return Client(urlsplit(env["ASSAY_URL"]).netloc, {"authorization": f"Bearer {env['ASSAY_TOKEN']}"})


@pytest.fixture(scope="module")
def project(stack: Stack) -> str:
    return stack.env()["ASSAY_PROJECT_ID"]


def ask(stack: Stack, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Does something as the role that sees every schema."""

    async def connected() -> T:
        connection = await asyncpg.connect(stack.env()["ASSAY_DATABASE_URL"])
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())


def age(stack: Stack, by: str, *run_ids: str) -> None:
    """Makes the end of these runs so much older; of none, of all."""
    which = "WHERE cardinality($1::uuid[]) = 0 OR id = ANY($1::uuid[])"
    ask(stack, lambda sql: sql.execute(f"UPDATE runner.runs SET completed_at = completed_at - interval '{by}' {which}", list(run_ids)))


def eventually_none(stack: Stack, query: str) -> None:
    """Waits until a query finds no row any more."""
    eventually(lambda: ask(stack, lambda sql: sql.fetch(query)), lambda rows: not rows, PATIENCE)


def findings(stack: Stack) -> dict[str, list[str]]:
    return asyncio.run(oracle.findings(stack.env()["ASSAY_DATABASE_URL"]))


def ended_scenes(client: Client, project: str) -> list[Scene]:
    """Everything of all families, every run of it ended: some were executed, others recorded or said by their client."""
    scenes = [a_scene(client), a_family_scene(client, project)]
    ids, build, simulations, prompts = scenes[1].ids, Builders(client), Simulations(client), Prompts(client)
    build.finished(build.a_set_of((LONG, LONG), ("short", "short")))
    late = {operation.name: operation for operation in FAMILY_OPERATIONS}
    for word in ("record completion", "record trace"):
        made(late[word].call(client, ids), 201)
    late["send message"].call(client, ids)
    made(late["end call"].call(client, ids), 200)
    run_test = {"id": ids["run_test_id"]}
    simulations.ended(run_test, simulations.execute(run_test)["execution_id"])
    prompt, version = {"id": ids["prompt_id"]}, {"id": ids["prompt_version_id"]}
    prompts.generated(prompt, prompts.start({"id": ids["test_case_id"]}, version)["generationId"])
    return scenes


def told(scenes: Sequence[Scene], which: Callable[[Operation], bool]) -> Mapping[str, object]:
    """What is answered, by the operation's name."""
    asked = [(scenes[0], operation) for operation in OPERATIONS] + [(scenes[1], operation) for operation in FAMILY_OPERATIONS]
    return {operation.name: _said(operation, scene.call(operation)) for scene, operation in asked if which(operation)}


def _said(operation: Operation, answer: Answer) -> object:
    return essence(answer) if operation.writes else (answer.status, answer.body)


def reads(operation: Operation) -> bool:
    return not operation.writes


def comes_late(operation: Operation) -> bool:
    return operation.name in LATE


@pytest.mark.timeout(240)
def test_nobody_misses_the_cases_of_ended_runs(stack: Stack, client: Client, project: str) -> None:
    scenes = ended_scenes(client, project)
    eventually_none(stack, "SELECT FROM runner.runs WHERE state NOT IN ('completed', 'cancelled')")
    eventually_none(stack, "SELECT FROM reporting.runs WHERE NOT closed")
    read, late = told(scenes, reads), told(scenes, comes_late)
    age(stack, "25 hours")
    eventually_none(stack, "SELECT FROM runner.run_cases")
    assert told(scenes, reads) == read
    assert told(scenes, comes_late) == late
    assert findings(stack) == {}


@pytest.mark.timeout(240)
def test_runs_go_as_a_whole_after_the_days_that_were_set(stack: Stack, client: Client) -> None:
    build = Builders(client)
    test_set = build.a_set_of(*((f"q{number}", f"q{number}") for number in range(30)))
    old, kept = build.finished(test_set, repeats=3), build.finished(test_set)
    before = build.results(kept)
    age(stack, f"{DAYS} days", old["id"])
    age(stack, f"{DAYS - 1} days", kept["id"])
    for table in ("runner.runs", "reporting.runs"):
        eventually_none(stack, f"SELECT FROM {table} WHERE id = '{old['id']}'")
    for table in ("runner.run_cases", "reporting.results"):
        eventually_none(stack, f"SELECT FROM {table} WHERE run_id = '{old['id']}'")
    # Scoring looks once a minute: what it is to remove is marked at once.
    marked = f"SELECT FROM scoring.removals WHERE run_id = '{old['id']}'"
    eventually_none(stack, f"SELECT WHERE NOT EXISTS ({marked})")
    assert client.get(f"{RUNS}/{old['id']}").status == 404
    assert (build.read(kept), build.results(kept)) == (kept, before)
    assert findings(stack) == {}
