"""PromptTestCaseRunService behind the real boundary: generations."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import pytest

from assay.catalog.internal.v1 import catalog_pb2
from assay.runner.v1 import prompt_test_case_runs_pb2 as pb, prompt_test_case_runs_pb2_grpc
from services.runner.operations.completion import Completion
from services.runner.servicers.prompt_cases import PromptTestCaseRunServicer
from services.runner.servicers.runs import Parts
from services.runner.store import runs
from shared.identity import Identifier
from shared.ids import new_id
from shared.interceptors import Boundary
from shared.postgres import Database
from tests.services.runner.datasets import Datasets, a_dataset_case, neighbourhood
from tests.services.runner.house import NOW, OURS, SERVICE_KEY, execute_and_score, rows, said
from tests.services.runner.servicers.test_runs import PLAIN, THEM, US, authenticate, refused

ONE, TWO = str(new_id()), str(new_id())
ECHO = catalog_pb2.Target(connection_id=str(new_id()), kind="builtin", model="echo", max_concurrency=8, timeout_ms=1000)


@dataclass
class Served:
    """The servicer, and the prompt's case."""

    database: Database
    datasets: Datasets
    generations: Any
    case_id: str

    async def generate(self, version: str = ONE, metadata: Any = US, case_id: str = "") -> tuple[str, bool]:
        request = pb.RunPromptTestCaseRequest(id=case_id or self.case_id, prompt_version_id=version)
        made = await self.generations.RunPromptTestCase(request, metadata=metadata)
        return made.generation_id, made.success


async def nobody(_run_id: UUID) -> None:
    """Nobody waits for a cancel here."""


@pytest.fixture
async def served(database: Database) -> AsyncIterator[Served]:
    async with neighbourhood() as asked:
        case_id = str(new_id())
        asked.datasets.versions = {ONE, TWO}
        asked.datasets.hold(case_id, [a_dataset_case(0)], subject_id=case_id, target=ECHO)
        parts = Parts(database, asked.catalog, asked.reporting, lambda _: None, nobody, lambda: NOW)
        server = grpc.aio.server(interceptors=[Boundary(Identifier((), SERVICE_KEY, authenticate))])
        prompt_test_case_runs_pb2_grpc.add_PromptTestCaseRunServiceServicer_to_server(PromptTestCaseRunServicer(parts), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = prompt_test_case_runs_pb2_grpc.PromptTestCaseRunServiceStub(channel)
            yield Served(database, asked.datasets, stub, case_id)
            await server.stop(None)


async def test_a_generation_is_a_run_of_one_case_against_a_version(served: Served) -> None:
    generation_id, success = await served.generate(metadata=PLAIN)
    assert success
    [opened] = served.datasets.opened
    assert (opened.family, opened.subject_id, opened.version_id) == ("prompt_test_case", served.case_id, ONE)
    [started] = await said(served.database, "runner.run_started")
    assert (started.run.id, started.run.family, started.run.target_id) == (generation_id, "prompt_test_case", ONE)
    assert (started.run.total_cases, len(await said(served.database, "runner.tickets"))) == (1, 1)


async def test_one_in_progress_is_told_and_not_started_again(served: Served) -> None:
    first, _ = await served.generate()
    assert await served.generate() == (first, False)
    assert len(await rows(served.database, "SELECT FROM runs")) == 1


async def test_of_many_at_once_one_is_started(served: Served) -> None:
    made = await asyncio.gather(*(served.generate() for _ in range(8)))
    assert (len({generation_id for generation_id, _ in made}), sum(success for _, success in made)) == (1, 1)
    assert len(await rows(served.database, "SELECT FROM runs")) == len(await said(served.database, "runner.run_started")) == 1


async def test_another_version_is_another_generation(served: Served) -> None:
    (first, _), (second, success) = await asyncio.gather(served.generate(ONE), served.generate(TWO))
    assert success
    assert first != second
    assert await served.generate(TWO) == (second, False)


async def test_after_the_end_there_is_a_new_one(served: Served) -> None:
    first, _ = await served.generate()
    async with served.database.connection() as connection:
        run = await runs.get(connection, OURS, UUID(first))
    await execute_and_score(served.database, run, Completion(served.database))
    second, success = await served.generate()
    assert (success, second != first) == (True, True)


async def test_the_same_key_is_answered_the_same(served: Served) -> None:
    keyed = (*US, ("idempotency-key", "k"))
    first = await served.generate(metadata=keyed)
    assert (await served.generate(metadata=keyed), first[1]) == (first, True)
    with refused(grpc.StatusCode.ABORTED, "another body"):
        await served.generate(TWO, keyed)


async def test_what_is_unknown_is_refused(served: Served) -> None:
    for wrong in ({"case_id": "x"}, {"case_id": str(new_id())}, {"metadata": THEM}):
        with refused(grpc.StatusCode.NOT_FOUND, "test case not found"):
            await served.generate(**wrong)
    for version in ("", "x", str(new_id())):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "promptVersionId"):
            await served.generate(version)
    assert await rows(served.database, "SELECT FROM runs") == []
