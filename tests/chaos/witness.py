"""Sees who claims and who writes a case, and which tickets are acknowledged, without asking any process of ours.

A trigger notes the port from which each claim and each effect came, and /proc whose port that is. NATS lets anybody of the account
listen to what it delivers to the workers, and to their acknowledgements.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import nats
import psutil
from nats.aio.msg import Msg

from assay.runner.internal.v1 import events_pb2
from shared.topics import TICKETS
from tests.bench.figures import Figure
from tests.chaos.background import Background
from tests.chaos.site import Site

RUNNERS = ("runner-1", "runner-2")
LOOK_SECONDS = 0.5
# The client sends nothing; the protocol knows both.
ACKS = (b"", b"+ACK")
NOTES = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.writes (id bigserial PRIMARY KEY, run_id uuid, ord int, state text, fence int, port int);
CREATE FUNCTION chaos.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO chaos.writes (run_id, ord, state, fence, port) VALUES (NEW.run_id, NEW.ord, NEW.state, NEW.fence, inet_client_port());
  RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE ON runner.run_cases FOR EACH ROW
  WHEN (NEW.fence > OLD.fence OR (OLD.state = 'leased' AND NEW.state = 'executed')) EXECUTE FUNCTION chaos.note();
"""
# An effect beside the last claim before it.
EFFECTS = """
SELECT w.run_id, w.ord, w.fence, w.port AS writer, c.port AS claimer FROM chaos.writes w JOIN LATERAL (
  SELECT port FROM chaos.writes WHERE run_id = w.run_id AND ord = w.ord AND id < w.id AND state = 'leased' ORDER BY id DESC LIMIT 1
) AS c ON true WHERE w.state = 'executed'
"""
UNEXECUTED = "SELECT count(*) FROM runner.run_cases WHERE run_id = $1 AND ord BETWEEN $2 AND $3 AND state IN ('queued', 'leased')"


@dataclass
class Witness(Background):
    """Looks on for as long as the block lasts. Neither Postgres nor NATS may be hurt meanwhile."""

    site: Site
    _owners: dict[int, str] = field(default_factory=dict)
    _tickets: dict[int, events_pb2.Ticket] = field(default_factory=dict)
    _settled: set[int] = field(default_factory=set)
    _acked: int = 0
    _early: list[str] = field(default_factory=list)
    _unknown: int = 0
    _rows: Sequence[asyncpg.Record] = ()

    def prepare(self) -> None:
        """Plants the trigger."""
        asyncio.run(self._plant())

    def work(self) -> None:
        """Looks and listens."""
        asyncio.run(self._watch())

    def figures(self, case: str) -> list[Figure]:
        """What was seen, once the block has ended."""
        strangers = {row[end] for row in self._rows for end in ("writer", "claimer")} - set(self._owners)
        stale = [row for row in self._rows if self._owners.get(row["writer"]) != self._owners.get(row["claimer"])]
        taken_over = sum(row["fence"] > 1 for row in self._rows)
        return [
            Figure(case, "cases that were claimed again", str(taken_over), "> 0", f"of {len(self._rows):,} that took effect"),
            Figure(case, "  stale writes", str(len(stale)), "0", "; ".join(f"{row['run_id']} {row['ord']}" for row in stale[:2])),
            Figure(case, "  by connections of nobody known", str(len(strangers)), "0"),
            Figure(case, "tickets acknowledged", str(self._acked), "> 0"),
            Figure(case, "  that were not seen before", str(self._unknown), "0"),
            Figure(case, "  with a case that was not executed", str(len(self._early)), "0", "; ".join(self._early[:2])),
        ]

    async def _plant(self) -> None:
        connection = await asyncpg.connect(self.site.database)
        try:
            await connection.execute(NOTES)
        finally:
            await connection.close()

    async def _watch(self) -> None:
        env = self.site.stack.env()
        connection = await asyncpg.connect(env["ASSAY_DATABASE_URL"])
        client = await nats.connect(env["ASSAY_NATS_URL"])
        try:
            acks: asyncio.Queue[Msg] = asyncio.Queue()
            await client.subscribe("_INBOX.>", cb=self._delivered)
            await client.subscribe(f"$JS.ACK.{TICKETS.stream}.>", cb=acks.put)
            await client.flush()
            while not self.stopping.is_set():
                self._note_owners()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        while True:
                            await self._heard(connection, await acks.get())
            self._rows = await connection.fetch(EFFECTS)
        finally:
            await client.close()
            await connection.close()

    def _note_owners(self) -> None:
        """Whose end of a connection each port is."""
        for name in RUNNERS:
            for each in psutil.Process(self.site.stack.pids()[name]).net_connections("tcp"):
                if each.laddr:
                    self._owners[each.laddr.port] = name

    async def _delivered(self, message: Msg) -> None:
        """Remembers what ticket a number of the stream is."""
        if _place(message.reply) is not None:
            self._tickets[_place(message.reply) or 0] = events_pb2.Ticket.FromString(message.data)

    async def _heard(self, connection: asyncpg.Connection, message: Msg) -> None:
        """An acknowledgement takes the ticket from whoever else has it: every case must be executed by then, or a later issue of the
        ticket must still be on its way.
        """
        if message.data not in ACKS:
            return
        self._acked += 1
        place = _place(message.subject) or 0
        ticket = self._tickets.get(place)
        if ticket is None:
            self._unknown += 1
            return
        self._settled.add(place)
        later = (each for at, each in self._tickets.items() if at not in self._settled and each.epoch > ticket.epoch)
        if any((each.run_id, each.number) == (ticket.run_id, ticket.number) for each in later):
            return
        left = await connection.fetchval(UNEXECUTED, UUID(ticket.run_id), ticket.first_ord, ticket.last_ord)
        if left:
            self._early.append(f"ticket {ticket.number} of run {ticket.run_id} with {left} cases left")


def _place(subject: str) -> int | None:
    """The number in its stream of the ticket that an ack subject is about: `$JS.ACK.WORK.consumer.deliveries.NUMBER.…`."""
    words = subject.split(".")
    if words[:2] != ["$JS", "ACK"] or TICKETS.stream not in words:
        return None
    return int(words[words.index(TICKETS.stream) + 3])
