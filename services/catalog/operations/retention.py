"""Forgetting what nobody needs any more."""

from dataclasses import dataclass

from services.catalog.store import retention as store
from shared import idempotency
from shared.postgres import Database


@dataclass(frozen=True)
class Retention:
    """One round of it, in transactions of a slice each."""

    database: Database

    async def prune(self) -> None:
        """Deletes closed rows of cases, unused files and old idempotency keys."""
        full = True
        while full:
            async with self.database.transaction() as sql:
                full = await store.prune_cases(sql) == store.CASE_SLICE
        async with self.database.transaction() as sql:
            await store.prune_files(sql)
        async with self.database.transaction() as sql:
            await idempotency.trim(sql)
