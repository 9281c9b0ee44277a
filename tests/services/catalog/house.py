"""The catalog in this process: its servicers behind the real boundary, on a real Postgres, spoken to through real stubs."""

import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc

from assay.catalog.internal.v1 import catalog_pb2_grpc
from assay.catalog.v1 import (
    connections_pb2 as connections_pb,
    connections_pb2_grpc,
    contexts_pb2 as contexts_pb,
    contexts_pb2_grpc,
    files_pb2_grpc,
    test_cases_pb2 as cases_pb,
    test_cases_pb2_grpc,
    test_sets_pb2 as sets_pb,
    test_sets_pb2_grpc,
)
from assay.common.internal.v1 import outbox_pb2_grpc
from assay.reporting.internal.v1 import reporting_pb2 as reporting_pb, reporting_pb2_grpc
from assay.runner.internal.v1 import runner_pb2 as runner_pb, runner_pb2_grpc
from services.catalog.__main__ import Config, Rooms, boundary, now
from services.catalog.clients import Peers
from services.catalog.secrets_box import KeyRing, read_keys
from shared.channels import ServiceIdentity, open_channel
from shared.postgres import Database, open_pool

SERVICE_KEY = "service-key-of-the-tests-32-bytes"
ISSUER_KEY = "issuer-key-of-the-tests-32-bytes!"
ISSUERS = json.dumps([{"issuer": "assay", "algorithms": ["HS256"], "key": ISSUER_KEY}])
KEYS = json.dumps({"1": base64.b64encode(secrets.token_bytes(32)).decode()})
PUBLIC_URL = "http://assay.test:8080"

Metadata = tuple[tuple[str, str], ...]


class Forgetful(runner_pb2_grpc.RunnerInternalServiceServicer, reporting_pb2_grpc.ReportingInternalServiceServicer):
    """Stands where runner and reporting stand, and notes what it is told to forget."""

    def __init__(self) -> None:
        self.runner: list[str] = []
        self.reporting: list[str] = []

    async def ForgetTestSet(self, request: Any, context: Any) -> runner_pb.ForgetTestSetResponse:  # noqa: ARG002
        self.runner.append(request.test_set_id)
        return runner_pb.ForgetTestSetResponse()

    async def Forget(self, request: Any, context: Any) -> reporting_pb.ForgetResponse:  # noqa: ARG002
        self.reporting.extend(request.test_set_ids)
        return reporting_pb.ForgetResponse()


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
        self.internal: Any = catalog_pb2_grpc.CatalogInternalServiceStub(self.channel)
        self.outbox: Any = outbox_pb2_grpc.OutboxServiceStub(self.channel)

    def as_service(self, caller: Caller | None = None) -> Metadata:
        """What a service sends that acts for a caller's workspace, ours by default."""
        return self.identity.metadata((caller or self.us).workspace)

    async def a_connection(self, caller: Caller | None = None, **said: Any) -> connections_pb.Connection:
        said = {"name": "echo", "kind": "builtin", "model": "echo", **said}
        request = connections_pb.CreateConnectionRequest(**said)
        return await self.connections.CreateConnection(request, metadata=(caller or self.us).metadata)

    async def a_context(self, caller: Caller | None = None, **said: Any) -> contexts_pb.Context:
        if "connection_id" not in said:
            said["connection_id"] = (await self.a_connection(caller)).id
        request = contexts_pb.CreateContextRequest(**{"name": "prompt", **said})
        return await self.contexts.CreateContext(request, metadata=(caller or self.us).metadata)

    async def a_set(self, caller: Caller | None = None, **said: Any) -> sets_pb.TestSet:
        if "context_id" not in said:
            said["context_id"] = (await self.a_context(caller)).id
        request = sets_pb.CreateTestSetRequest(**{"name": "set", **said})
        return await self.sets.CreateTestSet(request, metadata=(caller or self.us).metadata)

    async def a_case(self, set_id: str, **said: Any) -> cases_pb.TestCase:
        said = {"question": "Why?", "expected_response": "Because.", **said}
        return await self.cases.CreateTestCase(cases_pb.CreateTestCaseRequest(test_set_id=set_id, **said), metadata=self.us.metadata)

    async def set_as_it_is(self, set_id: str) -> sets_pb.TestSet:
        return await self.sets.GetTestSet(sets_pb.GetTestSetRequest(test_set_id=set_id), metadata=self.us.metadata)


@contextlib.asynccontextmanager
async def open_house(url: str, keys: KeyRing | None = None) -> AsyncIterator[House]:
    """The catalog on a migrated database, with two new workspaces."""
    database = Database(await open_pool(url))
    server = grpc.aio.server(interceptors=[boundary(_settings(url), Rooms(database, read_keys(KEYS), None, "").credentials)])  # type: ignore[arg-type]
    port = server.add_insecure_port("127.0.0.1:0")
    channel = open_channel(f"127.0.0.1:{port}")
    peers = Peers(
        runner_pb2_grpc.RunnerInternalServiceStub(channel),  # type: ignore[arg-type]
        reporting_pb2_grpc.ReportingInternalServiceStub(channel),  # type: ignore[arg-type]
        ServiceIdentity("catalog", SERVICE_KEY),
    )
    rooms, forgetful = Rooms(database, keys or read_keys(KEYS), peers, PUBLIC_URL), Forgetful()
    rooms.register(server)
    runner_pb2_grpc.add_RunnerInternalServiceServicer_to_server(forgetful, server)
    reporting_pb2_grpc.add_ReportingInternalServiceServicer_to_server(forgetful, server)
    await server.start()
    try:
        yield House(database, channel, rooms, forgetful, await _caller(rooms), await _caller(rooms), await _caller(rooms, scopes=()))
    finally:
        await channel.close()
        await server.stop(None)
        await database.close()


def _settings(url: str) -> Config:
    return Config(url, "", "", "", "", SERVICE_KEY, ISSUERS, KEYS, PUBLIC_URL)


async def _caller(rooms: Rooms, scopes: tuple[str, ...] = ("studio",)) -> Caller:
    workspace = (await rooms.credentials.new_workspace(f"made at {now()}")).id
    token, _ = await rooms.credentials.new_token(workspace, scopes)
    return Caller(workspace, token)


@contextlib.asynccontextmanager
async def refused(code: grpc.StatusCode, message: str = "") -> AsyncIterator[None]:
    """The block ends with this refusal, and its text holds `message`."""
    try:
        yield
    except grpc.aio.AioRpcError as refusal:
        assert refusal.code() == code, refusal
        assert message in (refusal.details() or ""), refusal
    else:
        raise AssertionError(f"was not refused: {code} {message}")
