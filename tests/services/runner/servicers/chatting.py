"""Chat mode behind the real boundary: its servicers, a model that plays the user, and what the catalog holds."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from assay.catalog.internal.v1 import catalog_pb2
from assay.runner.v1 import chat_calls_pb2 as pb, chat_calls_pb2_grpc, run_test_executions_pb2_grpc
from services.runner.__main__ import DOCUMENTATION
from services.runner.calls import Caller
from services.runner.governor import Governor
from services.runner.servicers.chats import ChatCallServicer
from services.runner.servicers.run_tests import RunTestExecutionServicer
from services.runner.servicers.runs import Parts
from services.runner.simulation import Simulation
from services.runner.targets.builtin import Builtin
from services.runner.targets.openai import OpenAI
from shared.guard import Guard, open_session
from shared.identity import Identifier
from shared.ids import new_id
from shared.interceptors import Boundary
from shared.json_values import value
from shared.postgres import Database
from tests.services.runner.endpoint import Answer, Endpoint, endpoint
from tests.services.runner.house import SERVICE_KEY, Asked, said
from tests.services.runner.servicers.test_assistant_tests import nobody
from tests.services.runner.servicers.test_runs import US, authenticate
from tests.services.runner.subjects import Subjects, a_conversation

LEASE = timedelta(seconds=60)
Message = pb.SendChatMessageRequest.Message


@dataclass
class Served:
    """The servicers, a model that plays the user, and what the catalog holds."""

    database: Database
    subjects: Subjects
    asked: Asked
    model: Endpoint
    chats: Any
    executions: Any

    async def start(self, *cases: catalog_pb2.Case, metadata: Any = US) -> pb.StartChatExecutionResponse.Result:
        request = pb.StartChatExecutionRequest(run_test_id=self.subjects.a_subject(*cases))
        started: pb.StartChatExecutionResponse = await self.chats.StartChatExecution(request, metadata=metadata)
        assert started.status
        return started.result

    async def take(self, execution_id: str, metadata: Any = US) -> pb.TakeCallsResponse.Result:
        taken: pb.TakeCallsResponse = await self.chats.TakeCalls(pb.TakeCallsRequest(execution_id=execution_id), metadata=metadata)
        return taken.result

    async def a_call(self, *script: str, **said: Any) -> str:
        """A call of an execution of its own."""
        taken = await self.take((await self.start(a_conversation(*script, **said))).execution_id)
        return taken.call_execution_ids[0]

    async def begin(self, call_id: str, metadata: Any = US) -> pb.SendChatMessageResponse.Result:
        request = pb.SendChatMessageRequest(call_id=call_id, initiate_chat=True)
        return (await self.chats.SendChatMessage(request, metadata=metadata)).result  # type: ignore[no-any-return]

    async def say(self, call_id: str, *messages: Message | str, metadata: Any = US, **said: Any) -> pb.SendChatMessageResponse.Result:
        told = [Message(role="user", content=value(one)) if isinstance(one, str) else one for one in messages]
        request = pb.SendChatMessageRequest(call_id=call_id, messages=told, **said)
        return (await self.chats.SendChatMessage(request, metadata=metadata)).result  # type: ignore[no-any-return]

    async def end(self, call_id: str, status: str, reason: str | None = None, metadata: Any = US) -> pb.UpdateCallResponse.Result:
        request = pb.UpdateCallRequest(call_id=call_id, status=status, ended_reason=reason)
        return (await self.chats.UpdateCall(request, metadata=metadata)).result  # type: ignore[no-any-return]

    def plays(self, *answers: Answer | bytes) -> None:
        """A model plays the user, and says this."""
        self.subjects.simulator = catalog_pb2.Target(
            connection_id=str(new_id()), kind="openai", base_url=self.model.url, model="m", max_concurrency=4, timeout_ms=20_000
        )
        self.asked.neighbours.target.base_url = self.model.url
        self.model.says(*answers)

    async def recorded(self) -> list[Any]:
        """The cases that scoring was told of."""
        return [case for event in await said(self.database, "runner.cases_executed") for case in event.cases]


@contextlib.asynccontextmanager
async def serving_chats(database: Database, asked: Asked) -> AsyncIterator[Served]:
    """Everything, for as long as the block lasts."""
    parts = Parts(database, asked.catalog, asked.reporting, lambda _: None, nobody, lambda: datetime.now(UTC))
    governor = Governor(database, "tests", LEASE)
    await governor.beat()
    server = grpc.aio.server(interceptors=[Boundary(Identifier((), SERVICE_KEY, authenticate))])
    async with endpoint() as model, open_session(Guard(["127.0.0.0/8"])) as session:
        simulation = Simulation(Caller(governor, asked.catalog, {"openai": OpenAI(session)}, Builtin(DOCUMENTATION)))
        chat_calls_pb2_grpc.add_ChatCallServiceServicer_to_server(ChatCallServicer(parts, simulation), server)
        run_test_executions_pb2_grpc.add_RunTestExecutionServiceServicer_to_server(RunTestExecutionServicer(parts), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            chats = chat_calls_pb2_grpc.ChatCallServiceStub(channel)
            yield Served(database, asked.subjects, asked, model, chats, run_test_executions_pb2_grpc.RunTestExecutionServiceStub(channel))
            await server.stop(None)


def lines(result: pb.SendChatMessageResponse.Result) -> list[tuple[str, str]]:
    assert list(result.output_message) == list(result.message_history)[-1:]
    assert result.message_history[-1].role == "assistant"
    assert result.message_history[-1].content
    return [(line.role, line.content) for line in result.message_history]
