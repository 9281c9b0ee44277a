"""RunService and RunnerInternalService behind the real boundary, spoken to through real stubs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc
import pytest

from assay.runner.internal.v1 import runner_pb2, runner_pb2_grpc
from assay.runner.v1 import runs_pb2, runs_pb2_grpc
from services.runner.operations import execution
from services.runner.operations.completion import Completion
from services.runner.servicers.internal import RunnerInternalServicer
from services.runner.servicers.runs import Parts, RunServicer
from shared.channels import ServiceIdentity
from shared.identity import Credential, Identifier, Principal
from shared.ids import new_id
from shared.interceptors import Boundary
from shared.postgres import Database
from tests.services.runner.house import (
    NOW,
    OURS,
    SERVICE_KEY,
    THEIRS,
    Asked,
    answered,
    claim,
    execute_and_score,
    rows,
    running,
    said,
)

US = (("authorization", "Bearer us"),)
THEM = (("authorization", "Bearer them"),)
PLAIN = (("authorization", "Bearer plain"),)


async def authenticate(credential: Credential) -> Principal | None:
    studio = frozenset({"studio"})
    known = {"us": Principal(OURS, studio), "them": Principal(THEIRS, studio), "plain": Principal(OURS)}
    return known.get(credential.token)


@dataclass
class Served:
    """The servicers and what they told of."""

    database: Database
    asked: Asked
    runs: Any = None
    internal: Any = None
    accepted: list[UUID] = field(default_factory=list)
    cancelled: list[UUID] = field(default_factory=list)
    service: ServiceIdentity = field(default_factory=lambda: ServiceIdentity("reporting", SERVICE_KEY))

    async def was_cancelled(self, run_id: UUID) -> None:
        self.cancelled.append(run_id)

    async def start(self, metadata: Any = US, **wish: Any) -> runs_pb2.Run:
        request = runs_pb2.StartRunRequest(**{"test_set_id": str(new_id()), "context_id": str(new_id()), **wish})
        started: runs_pb2.Run = await self.runs.StartRun(request, metadata=metadata)
        return started


@pytest.fixture
async def served(database: Database, asked: Asked) -> AsyncIterator[Served]:
    made = Served(database, asked)
    parts = Parts(database, asked.catalog, asked.reporting, made.accepted.append, made.was_cancelled, lambda: NOW)
    server = grpc.aio.server(interceptors=[Boundary(Identifier((), SERVICE_KEY, authenticate))])
    runs_pb2_grpc.add_RunServiceServicer_to_server(RunServicer(parts), server)
    runner_pb2_grpc.add_RunnerInternalServiceServicer_to_server(RunnerInternalServicer(database, made.was_cancelled, lambda: NOW), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        made.runs, made.internal = runs_pb2_grpc.RunServiceStub(channel), runner_pb2_grpc.RunnerInternalServiceStub(channel)
        yield made
        await server.stop(None)


@contextlib.contextmanager
def refused(code: grpc.StatusCode, text: str = "") -> Iterator[None]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert (caught.value.code(), text in (caught.value.details() or "")) == (code, True), caught.value


async def http_code(call: Any) -> str:
    await call
    return str(dict(await call.initial_metadata()).get("x-http-code", ""))


async def test_a_run_is_accepted_with_its_number_of_cases(served: Served) -> None:
    run = await served.start(repeats=3, max_concurrency=2, tags=["nightly"])
    assert (run.total_cases, run.status, run.triggered_by, list(run.tags)) == (30, runs_pb2.Run.Status.pending, "api", ["nightly"])
    assert run.stream_url == f"/v1/evaluation/runs/{run.id}/events"
    assert not run.HasField("pass_rate")
    assert served.accepted == [UUID(run.id)]
    [started] = await said(served.database, "runner.run_started")
    assert (started.run.id, started.run.workspace_id, started.run.total_cases) == (run.id, str(OURS), 30)
    [row] = await rows(served.database, "SELECT slots, revision FROM runs")
    assert (row["slots"], row["revision"]) == (2, 3)


async def test_the_gateway_is_told_what_to_answer(served: Served) -> None:
    request = runs_pb2.StartRunRequest(test_set_id=str(new_id()), context_id=str(new_id()))
    call = served.runs.StartRun(request, metadata=US)
    assert await http_code(call) == "201"
    assert await http_code(served.runs.DeleteRun(runs_pb2.DeleteRunRequest(run_id=(await call).id), metadata=US)) == "204"


async def test_the_frozen_target_holds_no_secret_and_its_numbers_stay_whole(served: Served) -> None:
    target = served.asked.neighbours.target
    target.parameters.update({"max_tokens": 100, "temperature": 0.5, "stop": [1, "x", {"n": 2}]})
    await served.start()
    [row] = await rows(served.database, "SELECT target, target::text AS text FROM runs")
    assert row["target"]["parameters"] == {"max_tokens": 100, "temperature": 0.5, "stop": [1, "x", {"n": 2}]}
    assert '"max_tokens": 100,' in row["text"].replace("}", ",")
    assert "sk-secret" not in row["text"]


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({"test_set_id": ""}, "test_set_id: is required"),
        ({"context_id": "x"}, "context_id: must be a UUID"),
        ({"repeats": 0}, "repeats: must be from 1 to 100"),
        ({"max_concurrency": -1}, "max_concurrency"),
        ({"tags": [""]}, "tags[0]"),
        ({"tags": ["\0"]}, "tags[0]: must not contain U+0000"),
    ],
)
async def test_wrong_fields_are_named(served: Served, wish: dict[str, Any], text: str) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, text):
        await served.start(**wish)
    assert await rows(served.database, "SELECT 1 FROM runs") == []


async def test_an_empty_set_is_refused_and_an_unknown_one_is_not_found(served: Served) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "test set not found"):
        await served.start(metadata=THEM)
    served.asked.neighbours.cases = []
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "has no cases"):
        await served.start()
    assert not served.accepted


async def test_the_same_key_starts_one_run(served: Served) -> None:
    keyed = (*US, ("idempotency-key", "k"))
    wish = {"test_set_id": str(new_id()), "context_id": str(new_id())}
    started = await asyncio.gather(*(served.start(metadata=keyed, **wish) for _ in range(8)))
    again = await served.start(metadata=keyed, **wish)
    assert {run.id for run in [*started, again]} == {again.id}
    assert len(await rows(served.database, "SELECT 1 FROM runs")) == 1
    assert served.accepted == [UUID(again.id)]
    with refused(grpc.StatusCode.ABORTED, "another body"):
        await served.start(metadata=keyed, **wish, repeats=2)


async def test_a_cancel_answers_with_what_there_is(served: Served) -> None:
    run = await running(served.database, 4)
    await execution.record(served.database, run, answered(await claim(served.database, run, 0, 1)))
    cancelled = await served.runs.CancelRun(runs_pb2.CancelRunRequest(run_id=str(run.id)), metadata=US)
    assert (cancelled.status, cancelled.completed_cases, cancelled.total_cases) == (runs_pb2.Run.Status.cancelled, 0, 4)
    assert served.cancelled == [run.id]


async def test_a_completed_run_cannot_be_cancelled(served: Served) -> None:
    run = await running(served.database, 2)
    await execute_and_score(served.database, run, Completion(served.database))
    with refused(grpc.StatusCode.ABORTED, "completed run"):
        await served.runs.CancelRun(runs_pb2.CancelRunRequest(run_id=str(run.id)), metadata=US)
    assert not served.cancelled


async def test_a_deleted_run_is_forgotten_and_its_calls_are_ended(served: Served) -> None:
    run = await running(served.database, 2)
    await served.runs.DeleteRun(runs_pb2.DeleteRunRequest(run_id=str(run.id)), metadata=US)
    assert (served.asked.neighbours.forgotten, served.cancelled) == ([str(run.id)], [run.id])
    with refused(grpc.StatusCode.NOT_FOUND, "run not found"):
        await served.runs.DeleteRun(runs_pb2.DeleteRunRequest(run_id=str(run.id)), metadata=US)


@pytest.mark.parametrize("run_id", ["", "x", str(new_id()), "another's"])
async def test_unknown_malformed_and_anothers_ids_answer_alike(served: Served, run_id: str) -> None:
    if run_id == "another's":
        run_id = str((await running(served.database, 1)).id)
    for call, request in ((served.runs.CancelRun, runs_pb2.CancelRunRequest), (served.runs.DeleteRun, runs_pb2.DeleteRunRequest)):
        with refused(grpc.StatusCode.NOT_FOUND, "run not found"):
            await call(request(run_id=run_id), metadata=THEM)
    with refused(grpc.StatusCode.NOT_FOUND, "run not found"):
        await served.internal.ReadRun(runner_pb2.ReadRunRequest(run_id=run_id), metadata=served.service.metadata(THEIRS))


async def test_commands_want_the_scope_and_internal_calls_a_service(served: Served) -> None:
    with refused(grpc.StatusCode.PERMISSION_DENIED, "'studio'"):
        await served.start(metadata=PLAIN)
    for metadata in ((), US):
        with refused(grpc.StatusCode.UNAUTHENTICATED):
            await served.internal.ReadRun(runner_pb2.ReadRunRequest(run_id="x"), metadata=metadata)


async def test_a_run_is_read_as_the_runner_knows_it(served: Served) -> None:
    run = await running(served.database, 4)
    found = await served.internal.ReadRun(runner_pb2.ReadRunRequest(run_id=str(run.id)), metadata=served.service.metadata(OURS))
    assert (found.state, found.total_cases, found.HasField("started_at"), found.HasField("completed_at")) == ("running", 4, True, False)


async def test_open_runs_of_a_set_are_listed_newest_first(served: Served) -> None:
    test_set = str(new_id())
    started = [(await served.start(test_set_id=test_set)).id for _ in range(3)]
    async with served.database.transaction() as connection:
        await connection.execute("UPDATE runs SET state = 'completed' WHERE id = $1", UUID(started[1]))
    request = runner_pb2.ListOpenRunsRequest(subject_id=test_set)
    found = await served.internal.ListOpenRuns(request, metadata=served.service.metadata(OURS))
    assert [run.id for run in found.runs] == [started[2], started[0]]
    assert not (await served.internal.ListOpenRuns(request, metadata=served.service.metadata(THEIRS))).runs


async def test_long_texts_are_streamed_in_order(served: Served) -> None:
    run = await running(served.database, 5)
    await execution.record(served.database, run, answered(await claim(served.database, run, 0, 2), "x" * 100_000))
    request = runner_pb2.ReadTextsRequest(run_id=str(run.id), ords=[4, 0, 2, 99])
    found = [each async for each in served.internal.ReadTexts(request, metadata=served.service.metadata(OURS))]
    assert [(each.ord, each.question, len(each.output), each.HasField("output")) for each in found] == [
        (0, "question 0", 100_000, True),
        (2, "question 2", 100_000, True),
        (4, "question 4", 0, False),
    ]


async def test_readers_that_read_slowly_hold_no_connection(served: Served) -> None:
    run = await running(served.database, 40)
    await execution.record(served.database, run, answered(await claim(served.database, run), "x" * 500_000))
    request = runner_pb2.ReadTextsRequest(run_id=str(run.id), ords=range(40))
    slow = [served.internal.ReadTexts(request, metadata=served.service.metadata(OURS)) for _ in range(20)]
    for call in slow:
        assert (await call.read()).ord == 0
    await asyncio.sleep(0.2)
    found = await rows(served.database, "SELECT count(*) AS runs FROM runs")  # refused where no connection is free
    assert found[0]["runs"] == 1
    for call in slow:
        call.cancel()


async def test_the_runs_of_a_forgotten_set_are_gone_at_once(served: Served) -> None:
    test_set = str(new_id())
    await served.start(test_set_id=test_set)
    request = runner_pb2.ForgetSubjectRequest(subject_id=test_set)
    await served.internal.ForgetSubject(request, metadata=served.service.metadata(THEIRS))
    assert len(await rows(served.database, "SELECT 1 FROM runs")) == 1
    await served.internal.ForgetSubject(request, metadata=served.service.metadata(OURS))
    assert await rows(served.database, "SELECT 1 FROM runs") == []
    assert served.cancelled, "the calls that are in flight for it must end"
