"""Family E: runs of assistant tests, one by one or a suite at a time."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from assay.runner.internal.v1 import answers_pb2
from assay.runner.v1 import assistant_test_runs_pb2 as pb
from services.runner.clients import Catalog
from services.runner.convert import assistant_tests as convert
from services.runner.operations import opening
from services.runner.operations.opening import Accepting
from shared.idempotency import Effect, Key, answered, once
from shared.ids import new_id
from shared.postgres import Connection, Database

MANUAL, API, CRON = "manual", "api", "cron"


@dataclass(frozen=True)
class Trigger:
    """By whom and when runs are started, with which options, and the key under which the answer is kept."""

    workspace: UUID
    options: pb.TestRunOptions
    key: Key | None
    now: datetime
    by: str = API


async def trigger(database: Database, catalog: Catalog, test_id: UUID, said: Trigger) -> pb.TestRun:
    """Starts a run of one test. Passes on the catalog's NOT_FOUND for the test and INVALID_ARGUMENT for the version."""
    known = await answered(database, said.key, pb.TestRun)
    if known is not None:
        return known
    opened = await opening.read(catalog, said.workspace, convert.wanted(test_id, said.options))

    async def accept(connection: Connection) -> pb.TestRun:
        return convert.test_run(await opening.begin(connection, opened, Accepting(said.workspace, said.by, said.now)))

    return await once(database, said.key, Effect(pb.TestRun, accept))


async def trigger_suite(database: Database, catalog: Catalog, suite: str, said: Trigger) -> answers_pb2.StartedTestRuns:
    """Starts a run of every test of a suite, all or none; they share a test_suite_run_id. Refusals as for one test."""
    known = await answered(database, said.key, answers_pb2.StartedTestRuns)
    if known is not None:
        return known
    tests = await catalog.suite(said.workspace, suite)
    opened = [await opening.read(catalog, said.workspace, convert.wanted(test_id, said.options)) for test_id in tests]
    accepting = Accepting(said.workspace, said.by, said.now, {convert.SUITE_RUN: str(new_id())})

    async def accept(connection: Connection) -> answers_pb2.StartedTestRuns:
        runs = [await opening.begin(connection, each, accepting) for each in opened]
        return answers_pb2.StartedTestRuns(runs=map(convert.test_run, runs))

    return await once(database, said.key, Effect(answers_pb2.StartedTestRuns, accept))
