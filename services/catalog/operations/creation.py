"""How a create answers: what it made, packed and kept in the transaction that makes it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from google.protobuf.message import Message

from shared import idempotency
from shared.idempotency import Effect, Key
from shared.postgres import Connection as Sql, Database

Made = TypeVar("Made")
Answer = TypeVar("Answer", bound=Message)

Clock: TypeAlias = Callable[[], datetime]


@dataclass(frozen=True)
class Creation(Generic[Made, Answer]):
    """The call's Idempotency-Key, if it has one, and the message that it is answered with."""

    key: Key | None
    answer: type[Answer]
    pack: Callable[[Made], Answer]

    async def once(self, database: Database, make: Callable[[Sql], Awaitable[Made]]) -> Answer:
        """Makes it in one transaction, or answers again what the key was answered first. Raises what `make` raises."""

        async def perform(sql: Sql) -> Answer:
            return self.pack(await make(sql))

        return await idempotency.once(database, self.key, Effect(self.answer, perform))
