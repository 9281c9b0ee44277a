"""The runner and the catalog as reporting meets them: real gRPC servers that answer what a test told them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from assay.catalog.internal.v1 import catalog_pb2, catalog_pb2_grpc, subjects_pb2, subjects_pb2_grpc
from assay.runner.internal.v1 import runner_pb2, runner_pb2_grpc
from shared.errors import NotFound
from shared.identity import Credential, Identifier, Principal, workspace
from shared.interceptors import Boundary, Context

SERVICE_KEY = "a key that only services know, for tests"


@dataclass
class RunnerPeer(runner_pb2_grpc.RunnerInternalServiceServicer):
    """Runs by id, and texts by run and ord. `asked` names the calls that came."""

    runs: dict[str, runner_pb2.RunState] = field(default_factory=dict)
    texts: dict[tuple[str, int], runner_pb2.CaseTexts] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    delay: float = 0.0

    def knows(self, *states: runner_pb2.RunState) -> None:
        self.runs.update({state.id: state for state in states})

    async def ReadRun(self, request: runner_pb2.ReadRunRequest, context: Context) -> runner_pb2.RunState:  # noqa: ARG002 gRPC's signature
        self.asked.append("ReadRun")
        await asyncio.sleep(self.delay)
        return self._own(request.run_id)

    async def ListOpenRuns(self, request: runner_pb2.ListOpenRunsRequest, context: Context) -> runner_pb2.ListOpenRunsResponse:  # noqa: ARG002 the same
        self.asked.append("ListOpenRuns")
        mine = [run for run in self.runs.values() if run.workspace_id == str(workspace()) and _is_asked_for(run, request)]
        return runner_pb2.ListOpenRunsResponse(runs=[run for run in mine if not run.HasField("completed_at")])

    async def ReadTexts(self, request: runner_pb2.ReadTextsRequest, context: Context) -> AsyncIterator[runner_pb2.CaseTexts]:  # noqa: ARG002 the same
        self.asked.append("ReadTexts")
        self._own(request.run_id)
        for ord_ in request.ords:
            yield self.texts[request.run_id, ord_]

    def _own(self, run_id: str) -> runner_pb2.RunState:
        run = self.runs.get(run_id)
        if run is None or run.workspace_id != str(workspace()):
            raise NotFound("run")
        return run


def _is_asked_for(run: runner_pb2.RunState, request: runner_pb2.ListOpenRunsRequest) -> bool:
    if request.subject_id:
        return run.subject_id == request.subject_id
    return (run.family, run.group_key) == (request.family, request.group_key)


@dataclass
class CatalogPeer(catalog_pb2_grpc.CatalogInternalServiceServicer, subjects_pb2_grpc.SubjectInternalServiceServicer):
    """Test sets by workspace, and other subjects by workspace, family and id."""

    test_sets: set[tuple[str, str]] = field(default_factory=set)
    subjects: set[tuple[str, str, str]] = field(default_factory=set)

    async def CheckTestSet(self, request: catalog_pb2.CheckTestSetRequest, context: Context) -> catalog_pb2.CheckTestSetResponse:  # noqa: ARG002 the same
        if (str(workspace()), request.test_set_id) not in self.test_sets:
            raise NotFound("test set")
        return catalog_pb2.CheckTestSetResponse()

    async def CheckSubject(self, request: subjects_pb2.CheckSubjectRequest, context: Context) -> subjects_pb2.CheckSubjectResponse:  # noqa: ARG002 the same
        if (str(workspace()), request.family, request.subject_id) not in self.subjects:
            raise NotFound("subject")
        return subjects_pb2.CheckSubjectResponse()


def peers() -> tuple[RunnerPeer, CatalogPeer]:
    """Both, UNIMPLEMENTED to what reporting never asks."""
    return RunnerPeer(), CatalogPeer()  # type: ignore[abstract]


async def nobody(_credential: Credential) -> Principal | None:
    return None


@contextlib.asynccontextmanager
async def serving(*register: Callable[[grpc.aio.Server], Any], boundary: Boundary | None = None) -> AsyncIterator[str]:
    """A server behind the real boundary, for as long as the block lasts; its address."""
    server = grpc.aio.server(interceptors=[boundary or Boundary(Identifier((), SERVICE_KEY, nobody))])
    for add in register:
        add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
