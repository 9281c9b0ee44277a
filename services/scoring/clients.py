"""Whom scoring asks beside the runner, whose long texts `shared/long_texts.py` reads: the catalog for a workspace's judge."""

from uuid import UUID

import grpc

from assay.catalog.internal.v1 import catalog_pb2
from assay.catalog.internal.v1.catalog_pb2_grpc import CatalogInternalServiceStub
from services.scoring import convert
from services.scoring.entities import Judging
from shared.channels import ServiceIdentity
from shared.remembered import Remembered

TIMEOUT = 10.0
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
