"""What is asked alike of every table whose rows are one entity each: one by its id, and pages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import asyncpg

from shared.errors import NotFound
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql

NAME_HOLDS = "($2 = '' OR strpos(lower(name), lower($2)) > 0)"
"""Whether a name holds what is searched for, in any case; "" is in all."""
UNDELETED = "deleted_at IS NULL"

E = TypeVar("E")


@dataclass(frozen=True)
class Table(Generic[E]):
    """A table of a workspace's entities, each made of a row by `entity`. `kind` is what NotFound names; rows that aren't `known`
    are there for nobody.

    Its texts, and every condition, are constants of a store, for they become part of statements.
    """

    kind: str
    name: str
    columns: str
    entity: Callable[[asyncpg.Record], E]
    known: str = "true"

    async def fetch(self, sql: Sql, workspace: UUID, which: str, *values: object) -> list[E]:
        """Those of which a condition is true, whose values are $2 and so on; in the order that is said behind it."""
        rows = await sql.fetch(f"SELECT {self.columns} {self._known} AND {which}", workspace, *values)
        return [self.entity(row) for row in rows]

    async def get(self, sql: Sql, workspace: UUID, wanted: UUID) -> E:
        """One by its id. Raises NotFound."""
        found = await self.fetch(sql, workspace, "id = $2", wanted)
        if not found:
            raise NotFound(self.kind)
        return found[0]

    async def lock(self, sql: Sql, workspace: UUID, wanted: UUID) -> E:
        """One that nobody else changes, deletes or begins to use before the transaction ends. Raises NotFound."""
        await sql.execute(f"SELECT FROM {self.name} WHERE workspace_id = $1 AND id = $2 FOR UPDATE", workspace, wanted)
        return await self.get(sql, workspace, wanted)  # only now: as whoever held the lock left it

    async def page(
        self, sql: Sql, workspace: UUID, request: PageRequest, which: str = "true", *values: object, newest_first: bool = False
    ) -> Page[E]:
        """Those of which a condition is true, in the order in which they were made."""
        total = await sql.fetchval(f"SELECT count(*) {self._known} AND {which}", workspace, *values)
        order, size = "DESC" if newest_first else "ASC", len(values) + 2
        part = f"{which} ORDER BY id {order} LIMIT ${size} OFFSET ${size + 1}"
        return Page(await self.fetch(sql, workspace, part, *values, request.size, request.offset), total, request)

    async def mark_deleted(self, sql: Sql, workspace: UUID, wanted: UUID, now: datetime) -> None:
        """Makes one unknown to everybody, while its row stays; for a table of which UNDELETED is what is known. Raises NotFound."""
        marked = f"UPDATE {self.name} SET deleted_at = $3 WHERE workspace_id = $1 AND id = $2 AND {self.known} RETURNING true"  # noqa: S608 constants
        if not await sql.fetchval(marked, workspace, wanted, now):
            raise NotFound(self.kind)

    @property
    def _known(self) -> str:
        return f"FROM {self.name} WHERE workspace_id = $1 AND {self.known}"
