"""How chat mode is spelled: in its messages `assistant` is the simulated user, and `user` the client's agent."""

import math
from collections.abc import Sequence
from typing import Any

import orjson
from google.protobuf.struct_pb2 import Value

from assay.runner.v1 import chat_calls_pb2 as pb
from services.runner.chats import COMPLETED, FAILED, MAX_MESSAGES, OVER, TOOL, USER, ChatCall, Ending, Message, Sent, Step
from services.runner.storable import storable
from services.runner.targets.tools import read_tool_calls
from shared import json_values
from shared.errors import Invalid

STATUSES = {"completed": COMPLETED, "failed": FAILED, "cancelled": FAILED}
LONGEST = 24 * 3600 * 1000


def sent(request: pb.SendChatMessageRequest) -> Sent:
    """What the client's agent said. Raises Invalid naming every wrong field."""
    if request.initiate_chat:
        return Sent(initiate=True)
    wrong: dict[str, str] = {}
    if not 1 <= len(request.messages) <= MAX_MESSAGES:
        wrong["messages"] = f"must be 1 to {MAX_MESSAGES}"
    for index, message in enumerate(request.messages):
        if message.role not in {USER, TOOL}:
            wrong[f"messages[{index}].role"] = "must be user or tool"
    if wrong:
        raise Invalid(wrong)
    messages = tuple(_message(message, index) for index, message in enumerate(request.messages))
    return Sent(initiate=False, messages=messages, milliseconds=_latency(request.metrics))


def _message(said: pb.SendChatMessageRequest.Message, index: int) -> Message:
    try:
        called = read_tool_calls(json_values.plain(said.tool_calls))
    except ValueError:
        raise Invalid({f"messages[{index}].tool_calls": "must be calls as OpenAI spells them"}) from None
    # Arguments come as JSON inside a string: what can't be stored is seen only now.
    calls = tuple(storable({"id": call.id, "name": call.name, "arguments": call.arguments}) for call in called)
    return Message(said.role, _text(said.content), calls, said.tool_call_id)


def _text(content: Value) -> str:
    found: Any = json_values.plain(content)
    if found is None:
        return ""
    return found if isinstance(found, str) else orjson.dumps(found).decode()


def _latency(metrics: Value) -> int:
    found: Any = json_values.plain(metrics)
    latency = found.get("latency") if isinstance(found, dict) else None
    if not isinstance(latency, int | float) or not math.isfinite(latency):
        return 0
    return int(min(max(latency, 0), LONGEST))


def ending(request: pb.UpdateCallRequest) -> Ending:
    """How the client says that a call ended. Raises Invalid."""
    state = STATUSES.get(request.status.lower())
    if state is None:
        raise Invalid({"status": f"must be one of {', '.join(STATUSES)}"})
    return Ending(state, request.ended_reason)


def taken(calls: Sequence[ChatCall], *, has_more: bool) -> pb.TakeCallsResponse:
    """Calls that are the client's now."""
    result = pb.TakeCallsResponse.Result(
        call_execution_ids=[str(call.id) for call in calls],
        has_more=has_more,
        batched_scenarios=dict.fromkeys(call.scenario_id for call in calls),
    )
    return pb.TakeCallsResponse(status=True, result=result)


def spoken(step: Step) -> pb.SendChatMessageResponse:
    """The chat as it stands."""
    history = [pb.ChatLine(role=role, content=content) for role, content in step.lines()]
    result = pb.SendChatMessageResponse.Result(
        input_message=[pb.ChatLine(role=message.role, content=message.content) for message in step.input],
        output_message=history[-1:],
        message_history=history,
        chat_ended=step.state in OVER,
    )
    return pb.SendChatMessageResponse(status=True, result=result)


def updated(call: ChatCall) -> pb.UpdateCallResponse:
    """A call that has ended."""
    result = pb.UpdateCallResponse.Result(call_execution_id=str(call.id), status=call.state, ended_reason=call.ended_reason)
    return pb.UpdateCallResponse(status=True, result=result)
