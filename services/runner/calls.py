"""Calling a target for one case: its limits, its tries, and what stands in the result when it fails."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import grpc

from assay.runner.internal.v1 import events_pb2
from services.runner.clients import Access, Catalog
from services.runner.entities import BUILTIN, TEST_SET, ClaimedCase, Executed, Run, Target as Called, Turn
from services.runner.governor import Governor
from services.runner.orders import Load
from services.runner.storable import without_keys
from services.runner.targets import Call, Failed, Refused, Reply, Target, Throttled
from services.runner.targets.builtin import Builtin
from shared import chat, hygiene, observe, tracing
from shared.remembered import Remembered

TRIES = 3
BACK_OFF_SECONDS = 0.5
LONGEST_PAUSE = 60.0
PATIENCE_SECONDS = 600.0
ACCESS_SECONDS = 30.0
AWAY_SECONDS = 0.5
SLICE_SECONDS = 0.02

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """What one call has cost so far."""

    attempts: int = 0
    milliseconds: int | None = None
    seconds: float = 0.0
    """All tries and the pauses between them, without what the limits made it wait."""


class _Turn:
    """What a call awaits before each try. What the limits make it wait there is no time of the call's: its bound stands still."""

    def __init__(self, begin: Callable[[], Awaitable[None]], bound: asyncio.Timeout) -> None:
        self._begin, self._bound = begin, bound
        self.waited = 0.0

    async def come(self) -> None:
        """Waits until the next try may begin. Raises TimeoutError if the bound was reached just as the try before ended by itself."""
        if self._bound.expired():
            raise TimeoutError
        began, ends = time.monotonic(), self._bound.when()
        self._bound.reschedule(None)
        try:
            await self._begin()
        finally:
            waited = time.monotonic() - began
            self.waited += waited
            if ends is not None:
                self._bound.reschedule(ends + waited)


class Caller:
    """Calls targets, within the governor's limits."""

    def __init__(self, governor: Governor, catalog: Catalog, targets: Mapping[str, Target], builtin: Builtin) -> None:
        self._governor, self._catalog, self._targets, self._builtin = governor, catalog, targets, builtin
        self._access: Remembered[UUID, Access] = Remembered(ACCESS_SECONDS)

    def has_room(self, ticket: events_pb2.Ticket, held: Load) -> bool:
        """Whether a ticket may be claimed here beside what is held. Without a slot its cases would wait, leased, for as long as this
        runner lives; with too few, while another runner has some. A run's own slots count apart from its connection's: measured
        against what other runs hold of these, a small run would wait until the large ones are over.
        """
        if ticket.at_once:
            return True
        share = self._governor.share
        if ticket.simulator_slots and not share(ticket.simulator_slots):
            return False
        return held.run < share(ticket.run_slots) and held.connection < share(ticket.connection_slots)

    def may_call(self, target: Called) -> bool:
        """Whether any of a connection's slots falls to this process."""
        return self._governor.share(target.max_concurrency) > 0

    async def answer_all(self, run: Run, cases: Sequence[ClaimedCase]) -> list[Executed]:
        """A builtin target's answers to all cases, yielding to the event loop every 20 ms."""
        try:
            answer = self._builtin.answering(run.target.model)
        except Refused as no:
            return [Executed(case, error=str(no)) for case in cases]
        executed = []
        pause_at = time.monotonic() + SLICE_SECONDS
        for case in cases:
            began = time.monotonic()
            text = answer(case.question)
            ended = time.monotonic()
            executed.append(Executed(case, text, None, int((ended - began) * 1000), 1))
            if ended > pause_at:
                await asyncio.sleep(0)
                pause_at = time.monotonic() + SLICE_SECONDS
        return executed

    async def call(self, run: Run, case: ClaimedCase, history: Sequence[Turn]) -> Executed:
        """What becomes of a case; never raises for what the target does: an error has its place in the results."""
        try:
            call = await self._prepare(run, case, history)
        except Refused as no:
            return Executed(case, error=str(no))
        tally = Tally()
        try:
            reply = await self.ask(run, run.target, call, tally)
        except (Refused, Failed) as fault:
            return Executed(case, None, shown(str(fault), call.api_key), tally.milliseconds, tally.attempts)
        if not reply.text and reply.tool_calls:
            return Executed(case, None, "the chat completion has no text", tally.milliseconds, tally.attempts)
        text, warnings = kept(reply, call.api_key)
        used = {"usage": dict(reply.usage)} if reply.usage and run.family != TEST_SET else None
        return Executed(case, text, None, tally.milliseconds, tally.attempts, warnings, used)

    async def ask(self, run: Run, target: Called, call: Call, tally: Tally, seconds: float | None = None) -> Reply:
        """One call to a target, within the limits. Raises Refused or Failed once its tries are used up, TimeoutError if it and they
        took longer than `seconds`; waiting for a slot, or for its turn within the calls a minute, isn't counted.
        """
        # A client-driven run has no slots of its own: the limits of the model that plays its users are its limits.
        slots = target.max_concurrency if run.client_driven else run.slots
        connection = (target.connection_id, target.max_concurrency)
        async with self._governor.slot((run.id, slots), connection, target.requests_per_minute) as begin:
            began = time.monotonic()
            turn = _Turn(begin, bound := asyncio.timeout(seconds))
            try:
                async with bound:
                    return await self._tried(call, target.kind, tally, turn)
            finally:
                tally.seconds = time.monotonic() - began - turn.waited

    async def access(self, workspace: UUID, target: Called) -> Access:
        """The target's address and secret. Raises Refused if the secret belongs to another address by now."""
        if target.kind not in self._targets:
            return Access("", "")
        access = await self._read_access(workspace, target.connection_id)
        if access.base_url != target.base_url:
            # The secret belongs to the address that it was stored with, and must not be sent to another.
            raise Refused("the connection's base_url changed after the run was started")
        return access

    async def _prepare(self, run: Run, case: ClaimedCase, history: Sequence[Turn]) -> Call:
        target = run.target
        access = await self.access(run.workspace_id, target)
        return Call(
            question=case.question,
            history=history,
            statement=target.statement,
            model=target.model,
            parameters=target.parameters,
            base_url=target.base_url,
            api_key=access.api_key,
            timeout=target.timeout_ms / 1000,
            key=f"{run.id}:{case.case_id}:{case.repeat}",
            file_url=case.file_url,
            file_mime_type=case.file_mime_type,
            messages=(case.plan or {}).get("messages", ()),
        )

    async def _tried(self, call: Call, kind: str, tally: Tally, turn: _Turn) -> Reply:
        """The reply of the first try that succeeds. A 429 is waited out and doesn't count as a try."""
        gives_up = time.monotonic() + PATIENCE_SECONDS
        throttled = 0
        while True:
            await turn.come()
            began = time.monotonic()
            try:
                reply = await self._ask(kind, call)
            except Throttled as wait:
                throttled += 1
                # A target that says 0 would be asked as fast as it answers.
                pause = _back_off(throttled) if wait.seconds is None else max(wait.seconds, BACK_OFF_SECONDS)
                if time.monotonic() + pause > gives_up + turn.waited:
                    tally.attempts += 1
                    raise Failed("the target kept answering 429 (too many requests)") from None
                await asyncio.sleep(min(pause, LONGEST_PAUSE))
                continue
            except (Failed, Refused) as fault:
                tally.attempts += 1
                tally.milliseconds = _since(began)
                if isinstance(fault, Refused) or tally.attempts >= TRIES:
                    raise
                await asyncio.sleep(_back_off(tally.attempts))
                continue
            tally.attempts += 1
            tally.milliseconds = _since(began)
            return reply

    async def _ask(self, kind: str, call: Call) -> Reply:
        target: Target | None = self._builtin if kind == BUILTIN else self._targets.get(kind)
        if target is None:
            raise Refused(f"connections of kind {kind} can't be called by this version")
        try:
            with observe.TARGET_SECONDS.time(), tracing.calling("call target", **{"assay.target": kind, "assay.case": call.key}):
                reply = await target.ask(call)
        except (Refused, Failed) as fault:
            observe.TARGET_CALLS.labels(type(fault).__name__.lower()).inc()
            raise
        except Exception as fault:
            # One case's oddity has its place in the results; raised, it would send the whole ticket round for ever.
            log.exception("a call failed in a way that is not foreseen")
            observe.TARGET_CALLS.labels("failed").inc()
            raise Failed(f"the call failed: {type(fault).__name__}") from fault
        observe.TARGET_CALLS.labels("answered").inc()
        return reply

    async def _read_access(self, workspace: UUID, connection_id: UUID) -> Access:
        known = self._access.get(connection_id)
        if known is not None:
            return known
        while True:
            try:
                access = await self._catalog.access(workspace, connection_id)
            except grpc.aio.AioRpcError as fault:
                if fault.code() == grpc.StatusCode.NOT_FOUND:
                    raise Refused("the connection was deleted") from None
                # The catalog being away is no fault of the case's: it waits, its lease renewed.
                log.warning("waiting for the catalog", extra={"fault": fault.code().name})
                await asyncio.sleep(AWAY_SECONDS)
            else:
                self._access.put(connection_id, access)
                return access


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _back_off(tries: int) -> float:
    """Seconds, doubling, with jitter so that callers that failed together don't return together."""
    return min(LONGEST_PAUSE, BACK_OFF_SECONDS * 2.0 ** min(tries - 1, 10)) * random.uniform(0.5, 1.5)  # noqa: S311 spreads load


def shown(error: str, secret: str) -> str:
    """An error fit for storage: a target's words are in it, and may repeat the key that they were sent."""
    text, _ = hygiene.cleaned(error)
    return chat.redacted(text, secret)


def kept(reply: Reply, secret: str) -> tuple[str, tuple[str, ...]]:
    """An answer fit for storage, and its warnings."""
    text, replaced = hygiene.cleaned(reply.text)
    warnings = reply.warnings
    if replaced:
        warnings += ("characters that can't be stored were replaced by U+FFFD",)
    without = without_keys(text, [secret])
    if without != text:
        warnings += ("the connection's key was taken out of the answer",)
    return without, warnings
