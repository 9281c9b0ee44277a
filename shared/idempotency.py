"""Idempotency-Key: the first answer again for 24 h, kept in the transaction of its effect. Table: `idempotency_keys`."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

import asyncpg
from google.protobuf.message import Message

from shared.errors import Invalid, KeyInFlight, KeyReused
from shared.postgres import Connection, Database, retrying

HEADER = "idempotency-key"
MAX_LENGTH = 255
Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True)
class Key:
    """One key of one operation in one workspace, with the digest of what was asked."""

    workspace: UUID
    operation: str
    key: str
    digest: bytes


@dataclass(frozen=True)
class Effect(Generic[Answer]):
    """What a request does: `perform` in the transaction that it's given, answering a message of type `answer`."""

    answer: type[Answer]
    perform: Callable[[Connection], Awaitable[Answer]]


def key_of(metadata: Sequence[tuple[str, str | bytes]], workspace: UUID, request: Message, content: bytes | None = None) -> Key | None:
    """The key that a call carries, None without. Bodies are compared parsed; of an upload its `content`."""
    sent = [value for name, value in metadata if name == HEADER]
    if not sent or not sent[0]:
        return None
    key = sent[0] if isinstance(sent[0], str) else sent[0].decode("latin-1")
    if len(key) > MAX_LENGTH:
        raise Invalid({"Idempotency-Key": f"must have at most {MAX_LENGTH} characters"})
    body = content if content is not None else request.SerializeToString(deterministic=True)
    return Key(workspace, request.DESCRIPTOR.full_name, key, hashlib.sha256(body).digest())


async def once(database: Database, key: Key | None, effect: Effect[Answer]) -> Answer:
    """Performs the effect, or answers again what its key was answered first.

    While the first is in flight the second waits for its row. Raises KeyReused for another body, KeyInFlight when it
    waited too long. A failure frees the key, being rolled back with it.
    """

    async def attempt() -> Answer:
        async with database.transaction() as connection:
            if key is None:
                return await effect.perform(connection)
            return await _kept_or_performed(connection, key, effect)

    return await retrying(attempt)


async def _kept_or_performed(connection: Connection, key: Key, effect: Effect[Answer]) -> Answer:
    kept = await _claim(connection, key)
    if kept is not None:
        return effect.answer.FromString(kept)
    made = await effect.perform(connection)
    await connection.execute(
        "UPDATE idempotency_keys SET answer = $4 WHERE workspace_id = $1 AND operation = $2 AND key = $3",
        key.workspace,
        key.operation,
        key.key,
        made.SerializeToString(),
    )
    return made


async def answered(database: Database, key: Key | None, answer: type[Answer]) -> Answer | None:
    """What the key was answered already: looked up before work that can't be done inside the transaction."""
    if key is None:
        return None
    async with database.connection() as connection:
        kept = await _kept(connection, key)
    return None if kept is None else answer.FromString(kept)


async def _claim(connection: Connection, key: Key) -> bytes | None:
    """None when the key is ours now, else its answer."""
    try:
        ours = await connection.fetchval(
            """
            INSERT INTO idempotency_keys AS known (workspace_id, operation, key, digest) VALUES ($1, $2, $3, $4)
            ON CONFLICT (workspace_id, operation, key) DO UPDATE
              SET digest = excluded.digest, answer = NULL, created_at = now()
              WHERE known.created_at < now() - interval '24 hours'
            RETURNING true
            """,
            key.workspace,
            key.operation,
            key.key,
            key.digest,
        )
    except asyncpg.LockNotAvailableError:
        raise KeyInFlight("the first request with this Idempotency-Key is still in flight") from None
    return None if ours else await _kept(connection, key)


async def _kept(connection: Connection, key: Key) -> bytes | None:
    row = await connection.fetchrow(
        """
        SELECT digest, answer FROM idempotency_keys
        WHERE workspace_id = $1 AND operation = $2 AND key = $3 AND created_at >= now() - interval '24 hours'
        """,
        key.workspace,
        key.operation,
        key.key,
    )
    if row is None:
        return None
    if row["digest"] != key.digest:
        raise KeyReused("this Idempotency-Key was used with another body")
    answer: bytes | None = row["answer"]
    return answer


async def trim(connection: Connection) -> None:
    """Deletes a slice of the keys that are older than 24 h."""
    await connection.execute(
        """
        DELETE FROM idempotency_keys WHERE (workspace_id, operation, key) IN (
          SELECT workspace_id, operation, key FROM idempotency_keys
          WHERE created_at < now() - interval '24 hours' LIMIT 10000)
        """
    )
