"""The catalog in this process: its servicers behind the real boundary, on a real Postgres, spoken to through real stubs."""

import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc
import pytest

from assay.catalog.internal.v1 import catalog_pb2_grpc, subjects_pb2_grpc
from assay.catalog.v1 import (
    agent_datasets_pb2_grpc,
    connections_pb2 as connections_pb,
    connections_pb2_grpc,
    contexts_pb2 as contexts_pb,
    contexts_pb2_grpc,
    datasets_pb2_grpc,
    evaluation_criteria_pb2_grpc,
    files_pb2_grpc,
    prompt_datasets_pb2_grpc,
    test_cases_pb2 as cases_pb,
    test_cases_pb2_grpc,
    test_sets_pb2 as sets_pb,
    test_sets_pb2_grpc,
)
from assay.common.internal.v1 import outbox_pb2_grpc
from assay.reporting.internal.v1 import reporting_pb2 as reporting_pb, reporting_pb2_grpc
from assay.runner.internal.v1 import runner_pb2 as runner_pb, runner_pb2_grpc
from assay.scoring.internal.v1 import templates_pb2_grpc
from services.catalog.__main__ import Config, Rooms, boundary, now
from services.catalog.clients import Peers
from services.catalog.operations.credentials import Credentials
from services.catalog.secrets_box import KeyRing, read_keys
from shared.channels import ServiceIdentity, open_channel
from shared.errors import Unavailable
from shared.postgres import Database, open_pool
from shared.server import OPTIONS
from tests.services.catalog.registry import Registry

SERVICE_KEY = "service-key-of-the-tests-32-bytes"
ISSUER_KEY = "issuer-key-of-the-tests-32-bytes!"
ISSUERS = json.dumps([{"issuer": "assay", "algorithms": ["HS256"], "key": ISSUER_KEY}])
KEYS = json.dumps({"1": base64.b64encode(secrets.token_bytes(32)).decode()})
PUBLIC_URL = "http://assay.test:8080"

Metadata = tuple[tuple[str, str], ...]


class Forgetful(runner_pb2_grpc.RunnerInternalServiceServicer, reporting_pb2_grpc.ReportingInternalServiceServicer):
    """Stands where runner and reporting stand, and notes what it is told to forget; `statuses` is what reporting knows of runs."""

    def __init__(self) -> None:
        self.fails = False
        self.runner: list[str] = []
        self.reporting: list[str] = []
        self.statuses: dict[str, str] = {}  # of the newest run, by subject
        self.generations: list[reporting_pb.Generation] = []  # of whichever prompt

    async def ForgetSubject(self, request: Any, context: Any) -> runner_pb.ForgetSubjectResponse:  # noqa: ARG002
        self._fail()
        self.runner.append(request.subject_id)
        return runner_pb.ForgetSubjectResponse()

    async def Forget(self, request: Any, context: Any) -> reporting_pb.ForgetResponse:  # noqa: ARG002
        self._fail()
        self.reporting.extend(request.subject_ids)
        return reporting_pb.ForgetResponse()

    async def ReadNewestRuns(self, request: Any, context: Any) -> reporting_pb.ReadNewestRunsResponse:  # noqa: ARG002
        self._fail()
        known = [(subject, self.statuses[subject]) for subject in request.subject_ids if subject in self.statuses]
        runs = [reporting_pb.ReadNewestRunsResponse.NewestRun(subject_id=subject, run_id="run", status=status) for subject, status in known]
        return reporting_pb.ReadNewestRunsResponse(runs=runs)

    async def ListGenerations(self, request: Any, context: Any) -> AsyncIterator[reporting_pb.GenerationBatch]:  # noqa: ARG002
        self._fail()
        for one in self.generations:
            if not request.version_ids or one.prompt_version_id in request.version_ids:
                yield reporting_pb.GenerationBatch(generations=[one])

    def _fail(self) -> None:
        if self.fails:
            raise Unavailable("out to lunch")


@dataclass(frozen=True)
class Caller:
    """Someone with a token."""

    workspace: UUID
    token: str

    @property
    def metadata(self) -> Metadata:
        return (("authorization", f"Bearer {self.token}"),)

    def with_key(self, key: str) -> Metadata:
        return (*self.metadata, ("idempotency-key", key))


@dataclass
class House:
    """The running catalog and two callers of different workspaces."""

    database: Database
    channel: grpc.aio.Channel
    rooms: Rooms
    forgetful: Forgetful
    us: Caller
    them: Caller
    plain: Caller
    identity: ServiceIdentity = field(default_factory=lambda: ServiceIdentity("runner", SERVICE_KEY))

    def __post_init__(self) -> None:
        self.connections: Any = connections_pb2_grpc.ConnectionServiceStub(self.channel)
        self.contexts: Any = contexts_pb2_grpc.ContextServiceStub(self.channel)
        self.sets: Any = test_sets_pb2_grpc.TestSetServiceStub(self.channel)
        self.cases: Any = test_cases_pb2_grpc.TestCaseServiceStub(self.channel)
        self.files: Any = files_pb2_grpc.FileServiceStub(self.channel)
        self.datasets: Any = datasets_pb2_grpc.DatasetServiceStub(self.channel)
        self.prompt_datasets: Any = prompt_datasets_pb2_grpc.PromptDatasetServiceStub(self.channel)
        self.agent_datasets: Any = agent_datasets_pb2_grpc.AgentDatasetServiceStub(self.channel)
        self.criteria: Any = evaluation_criteria_pb2_grpc.EvaluationCriterionServiceStub(self.channel)
        self.internal: Any = catalog_pb2_grpc.CatalogInternalServiceStub(self.channel)
        self.subjects: Any = subjects_pb2_grpc.SubjectInternalServiceStub(self.channel)
        self.outbox: Any = outbox_pb2_grpc.OutboxServiceStub(self.channel)

    def as_service(self, caller: Caller | None = None) -> Metadata:
        """What a service sends that acts for a caller's workspace, ours by default."""
        return self.identity.metadata((caller or self.us).workspace)

    async def a_project(self, caller: Caller | None = None) -> str:
        return str((await self.rooms.credentials.new_project((caller or self.us).workspace, "project")).id)

    async def a_connection(self, caller: Caller | None = None, **said: Any) -> connections_pb.Connection:
        said = {"name": "echo", "kind": "builtin", "model": "echo", **said}
        request = connections_pb.CreateConnectionRequest(**said)
        made: connections_pb.Connection = await self.connections.CreateConnection(request, metadata=(caller or self.us).metadata)
        return made

    async def a_context(self, caller: Caller | None = None, **said: Any) -> contexts_pb.Context:
        if "connection_id" not in said:
            said["connection_id"] = (await self.a_connection(caller)).id
        request = contexts_pb.CreateContextRequest(**{"name": "prompt", **said})
        made: contexts_pb.Context = await self.contexts.CreateContext(request, metadata=(caller or self.us).metadata)
        return made

    async def a_set(self, caller: Caller | None = None, **said: Any) -> sets_pb.TestSet:
        if "context_id" not in said:
            said["context_id"] = (await self.a_context(caller)).id
        request = sets_pb.CreateTestSetRequest(**{"name": "set", **said})
        made: sets_pb.TestSet = await self.sets.CreateTestSet(request, metadata=(caller or self.us).metadata)
        return made

    async def a_case(self, set_id: str, **said: Any) -> cases_pb.TestCase:
        said = {"question": "Why?", "expected_response": "Because.", **said}
        made: cases_pb.TestCase = await self.cases.CreateTestCase(
            cases_pb.CreateTestCaseRequest(test_set_id=set_id, **said), metadata=self.us.metadata
        )
        return made

    async def set_as_it_is(self, set_id: str) -> sets_pb.TestSet:
        made: sets_pb.TestSet = await self.sets.GetTestSet(sets_pb.GetTestSetRequest(test_set_id=set_id), metadata=self.us.metadata)
        return made


@contextlib.asynccontextmanager
async def open_house(url: str, keys: KeyRing | None = None) -> AsyncIterator[House]:
    """The catalog on a migrated database, with two new workspaces."""
    database = Database(await open_pool(url))
    server = grpc.aio.server(interceptors=[boundary(_settings(url), Credentials(database, now).authenticate)], options=OPTIONS)
    port = server.add_insecure_port("127.0.0.1:0")
    channel = open_channel(f"127.0.0.1:{port}")
    peers = Peers(
        runner_pb2_grpc.RunnerInternalServiceStub(channel),
        reporting_pb2_grpc.ReportingInternalServiceStub(channel),
        templates_pb2_grpc.TemplateInternalServiceStub(channel),
        ServiceIdentity("catalog", SERVICE_KEY),
    )
    rooms, forgetful = Rooms(database, keys or read_keys(KEYS), peers, PUBLIC_URL), Forgetful()  # type: ignore[abstract]  # only what the catalog calls
    rooms.register(server)
    runner_pb2_grpc.add_RunnerInternalServiceServicer_to_server(forgetful, server)
    reporting_pb2_grpc.add_ReportingInternalServiceServicer_to_server(forgetful, server)
    templates_pb2_grpc.add_TemplateInternalServiceServicer_to_server(Registry(), server)
    await server.start()
    try:
        yield House(database, channel, rooms, forgetful, await _caller(rooms), await _caller(rooms), await _caller(rooms, scopes=()))
    finally:
        await channel.close()
        await server.stop(None)
        await database.close()


def _settings(url: str) -> Config:
    return Config(
        postgres_url=url,
        nats_url="",
        listen="",
        runner_address="",
        reporting_address="",
        scoring_address="",
        service_key=SERVICE_KEY,
        jwt_issuers=ISSUERS,
        encryption_keys=KEYS,
        public_url=PUBLIC_URL,
    )


async def _caller(rooms: Rooms, scopes: tuple[str, ...] = ("studio",)) -> Caller:
    workspace = (await rooms.credentials.new_workspace(f"made at {now()}")).id
    token, _ = await rooms.credentials.new_token(workspace, scopes)
    return Caller(workspace, token)


@contextlib.contextmanager
def refused(code: grpc.StatusCode, message: str = "") -> Iterator[None]:
    """The block ends with this refusal, and its text holds `message`."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    refusal = caught.value
    assert (refusal.code(), message in (refusal.details() or "")) == (code, True), refusal


def invalid(message: str) -> contextlib.AbstractContextManager[None]:
    """The block is refused for a wrong field."""
    return refused(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(kind: str) -> contextlib.AbstractContextManager[None]:
    """The block is refused for an unknown thing of this kind."""
    return refused(grpc.StatusCode.NOT_FOUND, f"{kind} not found")


async def trailers(call: Any) -> dict[str, Any]:
    """The trailing metadata of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return dict(caught.value.trailing_metadata())


async def http_code(call: Any) -> str:
    """The status that a call, which must succeed, tells the gateway to answer; "" for none."""
    await call
    return str(dict(await call.initial_metadata()).get("x-http-code", ""))
