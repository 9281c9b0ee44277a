"""Chat mode: calls are handed out, the simulated user answers the client's agent, and what was said is recorded at the end."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from assay.runner.v1 import chat_calls_pb2 as pb
from services.runner import chats
from services.runner.chats import ABANDONED, BATCH, OVER, TALKING, ChatCall, Ending, Sent, Step
from services.runner.convert import chats as convert
from services.runner.dialogue import FAULT, MAX_DURATION
from services.runner.entities import RUNNING, Run
from services.runner.operations import recording
from services.runner.simulation import Simulation, Talk
from services.runner.store import calls, recordings, runs
from shared.errors import NotFound, Unavailable, WrongState
from shared.idempotency import Effect, Key, answered, once
from shared.postgres import OUTAGES, Connection, Database, retrying

ABANDONED_AT_ONCE = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asking:
    """Whose call it is, when, and the key under which the answer is kept."""

    workspace: UUID
    key: Key | None
    now: datetime


async def take(database: Database, run_id: UUID, asking: Asking) -> pb.TakeCallsResponse:
    """Hands out the next calls of an execution, each once; none any more of one that was cancelled. Raises NotFound."""

    async def hand_out(connection: Connection) -> pb.TakeCallsResponse:
        run = await _execution(connection, asking.workspace, run_id)
        if run.state != RUNNING:
            return convert.taken([], has_more=False)
        taken = await calls.take(connection, run_id, BATCH)
        return convert.taken(taken, has_more=await calls.waits(connection, run_id))

    return await once(database, asking.key, Effect(pb.TakeCallsResponse, hand_out))


async def _execution(connection: Connection, workspace: UUID, run_id: UUID) -> Run:
    kind = "test execution"
    try:
        run = await runs.get(connection, workspace, run_id)
    except NotFound:
        raise NotFound(kind) from None
    if run.family != "run_test" or not run.client_driven:
        raise NotFound(kind)
    return run


async def send(database: Database, simulation: Simulation, call_id: UUID, sent: Sent, asking: Asking) -> pb.SendChatMessageResponse:
    """What the simulated user says next. Raises NotFound, WrongState, and Unavailable if the model can't be asked from here."""
    known = await answered(database, asking.key, pb.SendChatMessageResponse)
    if known is not None:
        return known
    async with database.connection() as connection:
        call = await calls.get(connection, asking.workspace, call_id)
        run = await runs.get(connection, asking.workspace, call.run_id)
        plan = await calls.plan(connection, call)
    _check(run, call, sent)
    step = Step(call, call.dialogue(plan), call.milliseconds + sent.milliseconds, input=sent.messages)
    if sent.initiate and call.state == TALKING:
        return convert.spoken(step)
    step = await _gone_on(simulation, run, step, asking.now)

    async def keep(connection: Connection) -> pb.SendChatMessageResponse:
        if not await _keep(connection, asking.workspace, step, asking.now):
            raise WrongState("another message of this call was answered meanwhile")
        return convert.spoken(step)

    answer = await once(database, asking.key, Effect(pb.SendChatMessageResponse, keep))
    if step.state in OVER:
        await recording.submit_if_complete(database, run.id)
    return answer


def _check(run: Run, call: ChatCall, sent: Sent) -> None:
    if call.state in OVER or run.state != RUNNING:
        raise WrongState("the call has ended", state=call.state)
    if not sent.initiate and call.state != TALKING:
        raise WrongState("the call has not begun: send initiate_chat first", state=call.state)


async def _gone_on(simulation: Simulation, run: Run, step: Step, now: datetime) -> Step:
    """The step once the user has spoken, outside any transaction: a model may take its time."""
    dialogue, began = step.dialogue, step.call.began_at or now
    chats.listen(dialogue, step.input)
    talk = Talk(run, step.call.case_id, 1, dialogue, spent=(now - began).total_seconds())
    limit = dialogue.scene.max_duration_seconds
    if not dialogue.ended and limit and talk.spent >= limit:
        dialogue.ended = MAX_DURATION
    if dialogue.ended:
        return step
    if not simulation.can_speak(talk):
        raise Unavailable("the model that plays the user can't be asked right now")
    return replace(step, error=await simulation.reply(talk))


async def _keep(connection: Connection, workspace: UUID, step: Step, now: datetime | None = None) -> bool:
    """Writes a step and, with the last one, what the call leaves; False if the call went on otherwise."""
    if not await calls.save(connection, workspace, step, now):
        return False
    if step.state in OVER:
        await recordings.record(connection, workspace, step.call.run_id, step.call.case_id, step.recording())
    return True


async def end(database: Database, call_id: UUID, ending: Ending, asking: Asking) -> pb.UpdateCallResponse:
    """Ends a call as the client says; one that has ended stays as it is. Raises NotFound."""

    async def write() -> ChatCall:
        async with database.transaction() as connection:
            call = await calls.get(connection, asking.workspace, call_id)
            if call.state in OVER:
                return call
            step = chats.ended(call, ending)
            if not await _keep(connection, asking.workspace, step, asking.now):
                raise WrongState("a message of this call was answered meanwhile")
            return replace(call, state=step.state, ended_reason=step.reason)

    call = await retrying(write)
    await recording.submit_if_complete(database, call.run_id)
    return convert.updated(call)


async def end_abandoned(database: Database, idle: timedelta) -> None:
    """Ends the calls that nobody goes on with, as errors, so that their runs end. One that can't be ended keeps no other from it."""
    async with database.connection() as connection:
        left = await calls.abandoned(connection, idle, ABANDONED_AT_ONCE)
    ended = [call.run_id for _, call in left if await _is_ended(database, call.id, idle)]
    for run_id in dict.fromkeys(ended):
        await recording.submit_if_complete(database, run_id)


async def _is_ended(database: Database, call_id: UUID, idle: timedelta) -> bool:
    """Whether a call was ended, in a transaction of its own; not if somebody goes on with it by now."""

    async def write() -> bool:
        async with database.transaction() as connection:
            for workspace, call in await calls.abandoned(connection, idle, 1, call_id):
                dialogue = call.dialogue(None)
                dialogue.ended = FAULT
                return await _keep(connection, workspace, Step(call, dialogue, call.milliseconds, ABANDONED))
            return False

    try:
        return await retrying(write)
    except (Unavailable, *OUTAGES):
        raise
    except Exception as fault:  # noqa: BLE001 looked at again by the reconciler's next look
        log.warning("an abandoned call could not be ended", extra={"call_id": str(call_id), "fault": repr(fault)[:300]})
        return False
