"""What a producer's database needs once it was restored from a backup, before its service starts.

The backup numbers on from its own heads, but consumers may have heard those numbers already, of events that this database
never had: what is new would be taken for heard, and be lost. So numbering goes on far beyond whatever was given before, and
consumers are told of the hole (`outbox_holes`, `OutboxService.Head`). What both histories share keeps its numbers, and has
no second effect.
"""

from shared.errors import InUse
from shared.postgres import Connection
from shared.topics import published_by


async def begin_anew(connection: Connection, service: str) -> dict[str, int]:
    """Topic -> the number after which its events go on. Raises InUse while the service runs; harmless when repeated."""
    topics = [topic.name for topic in published_by(service)]
    async with connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('assay.relay.' || $1))", service):
            raise InUse(f"{service} is running; stop it first")
        await connection.execute("UPDATE outbox_incarnation SET incarnation = gen_random_uuid()::text")
        await connection.execute("INSERT INTO outbox_heads SELECT unnest($1::text[]), 0 ON CONFLICT DO NOTHING", topics)
        # Microseconds since 1970: beyond every number that was counted up to, and beyond the hole of an earlier restore.
        rows = await connection.fetch(
            """
            WITH holes AS (
              INSERT INTO outbox_holes (topic, after, upto)
              SELECT topic, head, greatest(head, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) FROM outbox_heads
              WHERE topic = ANY($1::text[])
              ON CONFLICT (topic, after) DO UPDATE SET upto = excluded.upto
              RETURNING topic, upto
            )
            UPDATE outbox_heads SET head = holes.upto FROM holes WHERE outbox_heads.topic = holes.topic
            RETURNING outbox_heads.topic, outbox_heads.head
            """,
            topics,
        )
    return {row["topic"]: row["head"] for row in rows}
