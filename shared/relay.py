"""The relay: it publishes what a service's outbox holds, and one process of the service does so at a time."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import asyncpg
import nats

from shared import observe, outbox
from shared.jetstream import OUTAGES, Broker
from shared.postgres import OUTAGES as DATABASE_OUTAGES

POLL_SECONDS = 0.5
TRIM_EVERY_SECONDS = 60.0
REPORT_EVERY_SECONDS = 5.0

log = logging.getLogger(__name__)


class Relay:
    """Publishes what the outbox holds. One process of a service does it at a time, the holder of an advisory lock."""

    def __init__(self, url: str, service: str, broker: Broker) -> None:
        self._url, self._service, self._broker = url, service, broker
        self._news = asyncio.Event()
        self._leads = False
        self._told: asyncio.Task[None] | None = None
        self._trimmed_at = 0.0
        self._reported_at = 0.0
        self._undeclared = False

    def wake(self) -> None:
        """Tells the relay, wherever it runs, that a transaction committed. May be lost: it also looks by itself."""
        if self._leads:
            self._news.set()
        elif self._broker.connected and (self._told is None or self._told.done()):
            self._told = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        with contextlib.suppress(*OUTAGES):
            await self._broker.client.publish(self._wake_subject, b"")

    @property
    def _wake_subject(self) -> str:
        return f"assay.wake.{self._service}"

    async def run(self) -> None:
        """Runs until it is cancelled, whatever Postgres and NATS do."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                try:
                    await self._with_connection()
                except (*DATABASE_OUTAGES, *OUTAGES) as outage:
                    log.warning("relay is waiting", extra={"fault": repr(outage)})
                self._leads = False
                for gauge in (observe.OUTBOX_BEHIND, observe.OUTBOX_UNPUBLISHED, observe.OUTBOX_AGE, observe.OUTBOX_PARKED):
                    gauge.set(0)  # whoever leads now tells
                await asyncio.sleep(0.5)
        finally:
            listening.cancel()

    async def _listen(self) -> None:
        await self._broker.ready()

        async def heard(_message: object) -> None:
            self._news.set()

        await self._broker.client.subscribe(self._wake_subject, cb=heard)

    async def _with_connection(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=5, command_timeout=40)
        try:
            # The lock lives as long as its connection: a relay that dies frees it at once.
            while not await connection.fetchval(  # noqa: ASYNC110 another process holds it
                "SELECT pg_try_advisory_lock(hashtext('assay.relay.' || $1))", self._service
            ):
                await asyncio.sleep(1.0)
            await self._lead(connection)
        finally:
            connection.terminate()

    async def _lead(self, connection: asyncpg.Connection) -> None:
        incarnation = await outbox.incarnation(connection)
        await self._broker.ready()
        self._leads = True
        observe.OUTBOX_PARKED.set(await outbox.parked(connection))  # counted once, and then as they come
        behind = True
        while True:
            self._news.clear()
            rows = await outbox.unpublished(connection) if behind else []
            # A failed row stays behind and is found again above; it holds up no other.
            fresh = await outbox.number(connection)
            done = await self._publish(connection, rows + fresh, incarnation)
            left = len(rows) + len(fresh) - done
            observe.OUTBOX_BEHIND.set(left)
            behind = left > 0 or len(rows) == outbox.BATCH
            await self._report(connection)
            if behind and not done:
                await asyncio.sleep(0.25)
            elif not fresh and not behind:
                await self._rest(connection)

    async def _rest(self, connection: asyncpg.Connection) -> None:
        # Not wait_for, which swallows a cancel that comes together with the news: the last commit of a drain did so.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._news.wait()
        now = asyncio.get_running_loop().time()
        if now - self._trimmed_at > TRIM_EVERY_SECONDS:
            self._trimmed_at = now
            await outbox.trim(connection)

    async def _report(self, connection: asyncpg.Connection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._reported_at > REPORT_EVERY_SECONDS:
            self._reported_at = now
            count, age = await outbox.waiting(connection)
            observe.OUTBOX_UNPUBLISHED.set(count)
            observe.OUTBOX_AGE.set(age)

    async def _publish(self, connection: asyncpg.Connection, rows: Sequence[outbox.Row], incarnation: str) -> int:
        """Publishes rows at once and marks those that were acknowledged. Returns how many are settled."""
        outcomes = await asyncio.gather(*(self._send(row, incarnation) for row in rows))
        if self._undeclared:
            self._undeclared = False
            with contextlib.suppress(*OUTAGES):
                await self._broker.declare()
        sent = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome is None]
        parked = [(row.id, outcome) for row, outcome in zip(rows, outcomes, strict=True) if outcome]
        if sent:
            await outbox.mark(connection, sent)
        for row_id, fault in parked:
            log.error("an event can't be published and is parked", extra={"outbox_id": row_id, "fault": fault})
            await outbox.park(connection, row_id, fault)
            observe.OUTBOX_PARKED.inc()
        return len(sent) + len(parked)

    async def _send(self, row: outbox.Row, incarnation: str) -> str | None:
        """None when acknowledged, "" when to be tried again, else why it never will be."""
        headers = {
            "Nats-Msg-Id": f"{row.topic.name}:{incarnation}:{row.seq}",
            outbox.SEQ_HEADER: str(row.seq),
        }
        try:
            await self._broker.publish(row.topic, row.payload, headers)
        except nats.errors.MaxPayloadError as fault:
            return repr(fault)
        except nats.js.errors.NoStreamResponseError:
            self._undeclared = True
            return ""
        except OUTAGES:
            return ""
        return None
