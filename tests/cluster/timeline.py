"""Where the time of a run went: when each of its events was written, published and taken up, by the rows that tell of them."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from shared import tracing
from shared.topics import TOPICS, Topic

SECONDS = 120
"""After a run began: no later events are looked at."""


async def timeline(database_url: str, run_id: str) -> str:
    """A line for each event: topic, number, cases, and seconds after the run was accepted."""
    connection = await asyncpg.connect(database_url)
    try:
        began = await connection.fetchval("SELECT created_at FROM runner.runs WHERE id = $1", run_id)
        found = [line for topic in TOPICS.values() if topic.consumers for line in await _events(connection, topic, (run_id, began))]
    finally:
        await connection.close()
    return "\n".join([f"run {run_id}, accepted at {began:%H:%M:%S.%f}", *found])


async def _events(connection: asyncpg.Connection, topic: Topic, run: tuple[str, datetime]) -> Sequence[str]:
    run_id, began = run
    rows = await connection.fetch(
        f"""
        SELECT seq, payload, created_at, published_at FROM {topic.producer}.outbox
        WHERE topic = $1 AND created_at BETWEEN $2 AND $2::timestamptz + make_interval(secs => $3) ORDER BY id
        """,
        topic.name,
        began,
        SECONDS,
    )
    lines = []
    for row in rows:
        message = topic.message.FromString(row["payload"])
        if tracing.run_of(message) == run_id:
            moments = {"written": row["created_at"], "published": row["published_at"], **await _taken(connection, topic, row["seq"])}
            told = ", ".join(f"{what} {(when - began).total_seconds():.2f}" for what, when in moments.items() if when is not None)
            lines.append(f"  {topic.name} {row['seq']}, {len(getattr(message, 'cases', ()))} cases: {told}")
    return lines


async def _taken(connection: asyncpg.Connection, topic: Topic, seq: int) -> dict[str, datetime | None]:
    return {
        f"taken by {consumer}": await connection.fetchval(
            f"SELECT taken_at FROM {consumer}.inbox WHERE topic = $1 AND seq = $2", topic.name, seq
        )
        for consumer in topic.consumers
    }
