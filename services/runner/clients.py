"""Whom the runner asks: catalog for cases, targets and secrets; reporting to forget."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
from google.protobuf import json_format

from assay.catalog.internal.v1 import catalog_pb2
from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.reporting.internal.v1 import reporting_pb2
from assay.reporting.internal.v1.reporting_pb2_grpc import ReportingInternalServiceStub
from services.runner.entities import Run, Subject, Target
from shared.channels import ServiceIdentity

TIMEOUT = 10.0
STREAM_TIMEOUT = 600.0
FORGET_TIMEOUT = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """What a call needs beside the frozen target."""

    base_url: str
    api_key: str


class Catalog:
    """The catalog, asked on behalf of a workspace."""

    def __init__(self, channel: grpc.aio.Channel, identity: ServiceIdentity) -> None:
        self._stub = CatalogInternalServiceStub(channel)
        self._identity = identity

    async def resolve(self, workspace: UUID, test_set_id: UUID, context_id: UUID) -> Subject:
        """The set and its target as they are now. Passes on NOT_FOUND."""
        request = catalog_pb2.ResolveTargetRequest(test_set_id=str(test_set_id), context_id=str(context_id))
        found = await self._stub.ResolveTarget(request, metadata=self._identity.metadata(workspace), timeout=TIMEOUT)
        return Subject(found.revision, found.case_count, found.mode, found.language, _target(found.target))

    async def cases(self, run: Run) -> AsyncIterator[catalog_pb2.CaseBatch]:
        """The set's cases at the run's revision, in order."""
        request = catalog_pb2.StreamCasesRequest(test_set_id=str(run.subject_id), revision=run.revision)
        metadata = self._identity.metadata(run.workspace_id)
        async for batch in self._stub.StreamCases(request, metadata=metadata, timeout=STREAM_TIMEOUT):
            yield batch

    async def access(self, workspace: UUID, connection_id: UUID) -> Access:
        """A connection's address and secret. Passes on NOT_FOUND."""
        request = catalog_pb2.ReadConnectionRequest(connection_id=str(connection_id))
        found = await self._stub.ReadConnection(request, metadata=self._identity.metadata(workspace), timeout=TIMEOUT)
        return Access(found.base_url, found.api_key)


class Reporting:
    """Reporting, told of deletions before they are answered."""

    def __init__(self, channel: grpc.aio.Channel, identity: ServiceIdentity) -> None:
        self._stub = ReportingInternalServiceStub(channel)
        self._identity = identity

    async def forget(self, workspace: UUID, run_id: UUID) -> None:
        """Hides a run at once; if reporting is away, the event does it later."""
        request = reporting_pb2.ForgetRequest(run_ids=[str(run_id)])
        try:
            await self._stub.Forget(request, metadata=self._identity.metadata(workspace), timeout=FORGET_TIMEOUT)
        except grpc.aio.AioRpcError as fault:
            log.warning("reporting will forget later", extra={"run_id": str(run_id), "fault": str(fault.code())})


def _target(found: catalog_pb2.Target) -> Target:
    return Target(
        connection_id=UUID(found.connection_id),
        kind=found.kind,
        base_url=found.base_url,
        model=found.model,
        statement=found.statement,
        parameters=_whole(json_format.MessageToDict(found.parameters)),
        max_concurrency=found.max_concurrency,
        requests_per_minute=found.requests_per_minute,
        timeout_ms=found.timeout_ms,
    )


def _whole(value: Any) -> Any:
    """JSON with whole numbers spelled whole: a Struct holds doubles, and endpoints refuse `"max_tokens": 100.0`."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
