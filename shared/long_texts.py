"""Texts that were too long for an event: asked of the runner portion by portion, since all at once they may be a gigabyte."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import grpc

from assay.runner.internal.v1 import runner_pb2
from shared.channels import ServiceIdentity
from shared.room import Room

if TYPE_CHECKING:  # it exists in the stubs' types alone
    from assay.runner.internal.v1.runner_pb2_grpc import RunnerInternalServiceAsyncStub

TIMEOUT = 120.0
# Texts that are held at a time. The last of a portion may go beyond it, by what a single case holds.
PORTION_BYTES = 4 << 20
ROOM_BYTES = 32 << 20


@dataclass(frozen=True)
class Portion:
    """Texts by ord, and the ords whose texts are still to be fetched; `deleted`: the run is gone, and whatever was left to fetch."""

    texts: Mapping[int, runner_pb2.CaseTexts]
    rest: list[int]
    deleted: bool = False


class LongTexts:
    """The runner, asked for the texts of long cases; what a process holds of them at a time has a bound."""

    def __init__(self, stub: "RunnerInternalServiceAsyncStub", identity: ServiceIdentity) -> None:
        self._stub, self._identity = stub, identity
        self._room = Room(ROOM_BYTES)

    @contextlib.asynccontextmanager
    async def portion(self, workspace: UUID, run_id: str, ords: Sequence[int]) -> AsyncIterator[Portion]:
        """The texts of the first of these cases, given in order: one, and as many more as a portion holds. Whoever holds a portion
        may keep others waiting for theirs. Passes on what the runner answers, but for NOT_FOUND.
        """
        async with self._room.share(PORTION_BYTES) as share:
            portion = await self._read(workspace, runner_pb2.ReadTextsRequest(run_id=run_id, ords=ords))
            share.settle(sum(texts.ByteSize() for texts in portion.texts.values()))
            yield portion

    async def _read(self, workspace: UUID, request: runner_pb2.ReadTextsRequest) -> Portion:
        answers = self._stub.ReadTexts(request, metadata=self._identity.metadata(workspace), timeout=TIMEOUT)
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
            return Portion({}, [], deleted=True)
        return Portion(found, [])
