"""AssistantTestRunService behind the real boundary: runs of tests and of suites."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import pytest

from assay.runner.v1 import assistant_test_runs_pb2 as pb, assistant_test_runs_pb2_grpc
from services.runner.servicers.assistant_tests import AssistantTestRunServicer
from services.runner.servicers.runs import Parts
from shared.identity import Identifier
from shared.ids import new_id
from shared.interceptors import Boundary
from shared.postgres import Database
from tests.services.runner.house import NOW, OURS, SERVICE_KEY, Asked, rows, said
from tests.services.runner.servicers.test_runs import PLAIN, THEM, US, authenticate, http_code, refused
from tests.services.runner.subjects import OTHER_VERSION, VERSION, Subjects

PENDING = pb.TestRun.Status.pending


@dataclass
class Served:
    """The servicer, and the tests that there are."""

    database: Database
    subjects: Subjects
    tests: Any

    async def trigger(self, test_id: str, metadata: Any = US, version: str = "") -> pb.TestRun:
        options = pb.TestRunOptions(destination_version_id=version) if version else None
        run: pb.TestRun = await self.tests.TriggerTestRun(pb.TriggerTestRunRequest(test_id=test_id, options=options), metadata=metadata)
        return run

    async def trigger_suite(self, suite: str, metadata: Any = US) -> list[pb.TestRun]:
        return [run async for run in self.tests.TriggerSuiteRuns(pb.TriggerSuiteRunsRequest(suite_name=suite), metadata=metadata)]


async def nobody(_run_id: UUID) -> None:
    """Nobody waits for a cancel here."""


@pytest.fixture
async def served(database: Database, asked: Asked) -> AsyncIterator[Served]:
    parts = Parts(database, asked.catalog, asked.reporting, lambda _: None, nobody, lambda: NOW)
    server = grpc.aio.server(interceptors=[Boundary(Identifier((), SERVICE_KEY, authenticate))])
    assistant_test_runs_pb2_grpc.add_AssistantTestRunServiceServicer_to_server(AssistantTestRunServicer(parts), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Served(database, asked.subjects, assistant_test_runs_pb2_grpc.AssistantTestRunServiceStub(channel))
        await server.stop(None)


async def test_a_new_run_is_pending_with_every_criterion(served: Served) -> None:
    test_id = served.subjects.a_subject()
    run = await served.trigger(test_id, PLAIN)
    assert (run.test_id, run.status, run.triggered_by) == (test_id, PENDING, "manual")
    assert [(detail.name, detail.status) for detail in run.detail_status] == [("kind", PENDING), ("short", PENDING)]
    assert run.created_at.ToDatetime(NOW.tzinfo) == NOW
    for absent in ("completed_at", "logs", "conversation_id", "conversation_insights_id", "test_suite_run_id"):
        assert not run.HasField(absent)
    [started] = await said(served.database, "runner.run_started")
    assert (started.run.id, started.run.family, started.run.target_id) == (run.run_id, "assistant_test", str(VERSION))
    assert len(await said(served.database, "runner.tickets")) == 1


async def test_the_gateway_answers_201(served: Served) -> None:
    call = served.tests.TriggerTestRun(pb.TriggerTestRunRequest(test_id=served.subjects.a_subject()), metadata=US)
    assert await http_code(call) == "201"
    served.subjects.suites["s"] = [served.subjects.a_subject()]
    stream = served.tests.TriggerSuiteRuns(pb.TriggerSuiteRunsRequest(suite_name="s"), metadata=US)
    assert dict(await stream.initial_metadata())["x-http-code"] == "201"


async def test_a_version_that_does_not_exist_is_refused(served: Served) -> None:
    test_id = served.subjects.a_subject()
    assert (await served.trigger(test_id, version=str(VERSION))).test_id == test_id
    for wrong in (str(OTHER_VERSION), "x"):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "destination_version_id"):
            await served.trigger(test_id, version=wrong)


@pytest.mark.parametrize("test_id", ["x", str(new_id()), "another's"])
async def test_unknown_malformed_and_anothers_tests_answer_alike(served: Served, test_id: str) -> None:
    if test_id == "another's":
        test_id = served.subjects.a_subject()
    with refused(grpc.StatusCode.NOT_FOUND, "assistant test not found"):
        await served.trigger(test_id, THEM)


async def test_the_same_key_starts_one_run(served: Served) -> None:
    test_id, keyed = served.subjects.a_subject(), (*US, ("idempotency-key", "k"))
    runs = [await served.trigger(test_id, keyed) for _ in range(2)]
    assert runs[0] == runs[1]
    with refused(grpc.StatusCode.ABORTED, "another body"):
        await served.trigger(served.subjects.a_subject(), keyed)


async def test_the_runs_of_a_suite_share_an_id(served: Served) -> None:
    served.subjects.suites["nightly"] = tests = [served.subjects.a_subject() for _ in range(3)]
    keyed = (*US, ("idempotency-key", "k"))
    runs = await served.trigger_suite("nightly", keyed)
    assert ([run.test_id for run in runs], {run.triggered_by for run in runs}) == (tests, {"api"})
    assert len({run.test_suite_run_id for run in runs}) == 1
    assert await served.trigger_suite("nightly", keyed) == runs
    found = await rows(served.database, "SELECT details FROM runs")
    assert [row["details"] for row in found] == [{"test_suite_run_id": runs[0].test_suite_run_id}] * 3
    assert (await served.trigger_suite("nightly"))[0].test_suite_run_id != runs[0].test_suite_run_id


async def test_a_suite_starts_as_a_whole_or_not_at_all(served: Served) -> None:
    served.subjects.suites["nightly"] = [served.subjects.a_subject(), str(new_id())]
    with refused(grpc.StatusCode.NOT_FOUND):
        await served.trigger_suite("nightly")
    with refused(grpc.StatusCode.NOT_FOUND, "test suite not found"):
        await served.trigger_suite("unknown")
    assert await rows(served.database, "SELECT FROM runs WHERE workspace_id = $1", OURS) == []
