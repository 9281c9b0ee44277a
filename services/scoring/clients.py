"""Whom scoring asks: catalog for a workspace's judge, runner for texts too long for an event."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import grpc

from assay.catalog.internal.v1 import catalog_pb2
from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.runner.internal.v1 import runner_pb2
from assay.runner.internal.v1.runner_pb2_grpc import RunnerInternalServiceStub
from services.scoring import convert
from services.scoring.entities import Judging
from services.scoring.room import Room
from shared.channels import ServiceIdentity
from shared.remembered import Remembered

TIMEOUT = 10.0
TEXTS_TIMEOUT = 120.0
JUDGE_SECONDS = 30.0
# Texts that are held at a time. The last of a portion may go beyond it, by what a single case holds.
PORTION_BYTES = 4 << 20
ROOM_BYTES = 32 << 20


class Catalog:
    """Asked which model judges for a workspace; remembered for 30 s."""

    def __init__(self, channel: grpc.aio.Channel, identity: ServiceIdentity) -> None:
        self._stub = CatalogInternalServiceStub(channel)
        self._identity = identity
        self._known: Remembered[UUID, Judging] = Remembered(JUDGE_SECONDS)

    async def judging(self, workspace: UUID) -> Judging:
        """How a workspace wants its answers judged."""
        known = self._known.get(workspace)
        if known is not None:
            return known
        metadata = self._identity.metadata(workspace)
        settings = await self._stub.ReadJudge(catalog_pb2.ReadJudgeRequest(), metadata=metadata, timeout=TIMEOUT)
        judging = convert.judging(workspace, settings)
        self._known.put(workspace, judging)
        return judging


@dataclass(frozen=True)
class Portion:
    """Texts by ord, and the ords whose texts are still to be fetched."""

    texts: Mapping[int, runner_pb2.CaseTexts]
    rest: list[int]


class Runner:
    """Asked for the texts of long cases; what it holds of them at a time has a bound."""

    def __init__(self, channel: grpc.aio.Channel, identity: ServiceIdentity) -> None:
        self._stub = RunnerInternalServiceStub(channel)
        self._identity = identity
        self._room = Room(ROOM_BYTES)

    @contextlib.asynccontextmanager
    async def texts(self, workspace: UUID, run_id: str, ords: Sequence[int]) -> AsyncIterator[Portion]:
        """The texts of the first of these cases, given in order: one, and as many more as a portion holds; of a run that was deleted
        meanwhile, none. Whoever holds a portion may keep others waiting for theirs.
        """
        async with self._room.share(PORTION_BYTES) as share:
            portion = await self._read(workspace, runner_pb2.ReadTextsRequest(run_id=run_id, ords=ords))
            share.settle(sum(texts.ByteSize() for texts in portion.texts.values()))
            yield portion

    async def _read(self, workspace: UUID, request: runner_pb2.ReadTextsRequest) -> Portion:
        answers = self._stub.ReadTexts(request, metadata=self._identity.metadata(workspace), timeout=TEXTS_TIMEOUT)
        found: dict[int, runner_pb2.CaseTexts] = {}
        size = 0
        try:
            async for texts in answers:
                found[texts.ord] = texts
                size += texts.ByteSize()
                if size >= PORTION_BYTES:
                    answers.cancel()
                    return Portion(found, [ord_ for ord_ in request.ords if ord_ > texts.ord])
        except grpc.aio.AioRpcError as fault:
            if fault.code() != grpc.StatusCode.NOT_FOUND:
                raise
            return Portion({}, [])
        return Portion(found, [])
