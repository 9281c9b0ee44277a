"""The producer's side of the gap watch: any consumer may read this service's outbox."""

from collections.abc import AsyncIterator

from assay.common.internal.v1 import outbox_pb2, outbox_pb2_grpc
from shared import outbox
from shared.errors import NotFound
from shared.interceptors import Context
from shared.postgres import Database
from shared.topics import published_by

ROWS_AT_ONCE = 50


class OutboxServicer(outbox_pb2_grpc.OutboxServiceServicer):
    """Serves the topics that `service` publishes."""

    def __init__(self, service: str, database: Database) -> None:
        self._topics = {topic.name: topic for topic in published_by(service)}
        self._database = database

    async def Head(self, request: outbox_pb2.HeadRequest, context: Context) -> outbox_pb2.HeadResponse:
        """The newest number; notes how far the caller has read."""
        self._known(request.topic)
        async with self._database.connection() as connection:
            if request.consumer in self._topics[request.topic].consumers:
                await outbox.note_reader(connection, request.topic, request.consumer, request.watermark)
            holes = await outbox.holes(connection, request.topic)
            told = [outbox_pb2.HeadResponse.Hole(after=after, upto=upto) for after, upto in holes]
            return outbox_pb2.HeadResponse(head=await outbox.head(connection, request.topic), holes=told)

    async def ReadOutbox(self, request: outbox_pb2.ReadOutboxRequest, context: Context) -> AsyncIterator[outbox_pb2.OutboxEvent]:
        """A range of a topic, a few rows of memory at a time."""
        self._known(request.topic)
        for first in range(request.from_seq, request.to_seq + 1, ROWS_AT_ONCE):
            last = min(first + ROWS_AT_ONCE - 1, request.to_seq)
            async with self._database.connection() as connection:
                rows = await outbox.read(connection, request.topic, first, last)
            for seq, payload in rows:
                yield outbox_pb2.OutboxEvent(seq=seq, payload=payload)

    def _known(self, topic: str) -> None:
        if topic not in self._topics:
            raise NotFound("topic")
