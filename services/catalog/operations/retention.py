"""Forgetting what nobody needs any more."""

from dataclasses import dataclass

from services.catalog.store import retention as store
from shared import idempotency
from shared.postgres import Database
from shared.slices import slice_by_slice


@dataclass(frozen=True)
class Retention:
    """One round of it, in transactions of a slice each."""

    database: Database

    async def prune(self) -> None:
        """Deletes closed rows of cases, unused files and old idempotency keys."""
        await slice_by_slice(self._prune_cases)
        await slice_by_slice(self._prune_files)
        async with self.database.transaction() as sql:
            await idempotency.trim(sql)

    async def _prune_cases(self) -> bool:
        async with self.database.transaction() as sql:
            return await store.prune_cases(sql) == store.CASE_SLICE

    async def _prune_files(self) -> bool:
        async with self.database.transaction() as sql:
            return await store.prune_files(sql) == store.FILE_SLICE
