"""ChatCallService: the client's agent talks to the simulated user."""

from google.protobuf.message import Message

from assay.runner.v1 import chat_calls_pb2 as pb, chat_calls_pb2_grpc
from services.runner.convert import chats as convert
from services.runner.operations import chats as operations, run_tests
from services.runner.operations.chats import Asking
from services.runner.operations.run_tests import Execution
from services.runner.servicers.runs import Parts
from services.runner.simulation import Simulation
from shared.idempotency import key_of
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context

CALL, EXECUTION = "call execution", "test execution"


class ChatCallServicer(chat_calls_pb2_grpc.ChatCallServiceServicer):
    """Unpack, call, pack."""

    def __init__(self, parts: Parts, simulation: Simulation) -> None:
        self._parts, self._simulation = parts, simulation

    async def StartChatExecution(self, request: pb.StartChatExecutionRequest, context: Context) -> pb.StartChatExecutionResponse:
        parts, asking = self._parts, self._asking(request, context)
        run_test_id = parse_id(request.run_test_id, "run test")
        asked = Execution(asking.workspace, run_test_id, tuple(request.scenario_ids), asking.key, asking.now)
        return await run_tests.execute_as_chat(parts.database, parts.catalog, asked)

    async def TakeCalls(self, request: pb.TakeCallsRequest, context: Context) -> pb.TakeCallsResponse:
        return await operations.take(self._parts.database, parse_id(request.execution_id, EXECUTION), self._asking(request, context))

    async def SendChatMessage(self, request: pb.SendChatMessageRequest, context: Context) -> pb.SendChatMessageResponse:
        call_id, said = parse_id(request.call_id, CALL), convert.sent(request)
        return await operations.send(self._parts.database, self._simulation, call_id, said, self._asking(request, context))

    async def UpdateCall(self, request: pb.UpdateCallRequest, context: Context) -> pb.UpdateCallResponse:
        call_id, ending = parse_id(request.call_id, CALL), convert.ending(request)
        return await operations.end(self._parts.database, call_id, ending, self._asking(request, context))

    def _asking(self, request: Message, context: Context) -> Asking:
        key = key_of(tuple(context.invocation_metadata() or ()), workspace(), request)
        return Asking(workspace(), key, self._parts.clock())
