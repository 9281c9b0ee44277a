"""A backend for protos/things.proto, in which every kind of field and of RPC is that the API families use: it answers what it was asked."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from deploy.local.protos import compile_descriptors
from gateway.routed import read_descriptor
from shared.server import OPTIONS

SOURCE = Path(__file__).parent / "protos" / "things.proto"
SERVICE = "assay.scoring.v1.ThingService"


@dataclass
class Things(grpc.GenericRpcHandler):
    """Whatever is called is remembered; the answer holds `said`, or as much of the request as has a place in it."""

    descriptor: Path
    said: Any = None
    requests: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        for file in read_descriptor(self.descriptor).file:
            self._pool.Add(file)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of one RPC."""
        name = handler_call_details.method.rsplit("/", 1)[1]
        rpc = self._pool.FindServiceByName(SERVICE).methods_by_name[name]
        asked, answered = (message_factory.GetMessageClass(kind) for kind in (rpc.input_type, rpc.output_type))

        async def one(request: Message, context: Any) -> Message:
            self.requests.append(request)
            if rpc.name.startswith("Make"):
                await context.send_initial_metadata((("x-http-code", "201"),))
            return self._answer(request, answered())

        async def many(request: Message, context: Any) -> AsyncIterator[Message]:
            self.requests.append(request)
            await context.send_initial_metadata((("x-http-code", "201"),))
            for said in self.said or ():
                yield json_format.ParseDict(said, answered())

        if rpc.server_streaming:
            return grpc.unary_stream_rpc_method_handler(many, asked.FromString, answered.SerializeToString)
        return grpc.unary_unary_rpc_method_handler(one, asked.FromString, answered.SerializeToString)

    def _answer(self, request: Any, answer: Message) -> Message:
        if self.said is not None:
            json_format.ParseDict(self.said, answer)
        elif type(request) is type(answer):
            answer.CopyFrom(request)
        elif answer.DESCRIPTOR.full_name == "google.protobuf.Value":
            answer.CopyFrom(request.value)
        return answer


def compiled(folder: Path) -> Path:
    """The descriptor set of things.proto."""
    made = folder / "things.pb"
    compile_descriptors(made, [str(SOURCE)], [SOURCE.parent])
    return made


@contextmanager
def serving(things: Things) -> Iterator[int]:
    """The port of a server of these things."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="things")
    thread.start()

    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((things,))
        checked = health.aio.HealthServicer()
        await checked.set("scoring", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(checked, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
