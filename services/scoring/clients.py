"""Whom scoring asks: catalog for a workspace's judge, runner for texts too long for an event."""

from collections.abc import Sequence
from uuid import UUID

import grpc

from assay.catalog.internal.v1 import catalog_pb2
from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from assay.runner.internal.v1 import runner_pb2
from assay.runner.internal.v1.runner_pb2_grpc import RunnerInternalServiceStub
from services.scoring import convert
from services.scoring.entities import Judging
from shared.channels import ServiceIdentity
from shared.remembered import Remembered

TIMEOUT = 10.0
TEXTS_TIMEOUT = 120.0
JUDGE_SECONDS = 30.0


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


class Runner:
    """Asked for the texts of long cases."""

    def __init__(self, channel: grpc.aio.Channel, identity: ServiceIdentity) -> None:
        self._stub = RunnerInternalServiceStub(channel)
        self._identity = identity

    async def texts(self, workspace: UUID, run_id: str, ords: Sequence[int]) -> dict[int, runner_pb2.CaseTexts]:
        """Texts by ord; of a run that was deleted meanwhile, none."""
        request = runner_pb2.ReadTextsRequest(run_id=run_id, ords=ords)
        answers = self._stub.ReadTexts(request, metadata=self._identity.metadata(workspace), timeout=TEXTS_TIMEOUT)
        try:
            return {texts.ord: texts async for texts in answers}
        except grpc.aio.AioRpcError as fault:
            if fault.code() == grpc.StatusCode.NOT_FOUND:
                return {}
            raise
