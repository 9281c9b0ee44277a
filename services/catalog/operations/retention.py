"""Forgetting what nobody needs any more."""

from services.catalog.store import retention as store
from shared import idempotency
from shared.postgres import Database
from shared.slices import slice_by_slice

FILE_SLICES = 20


class Retention:
    """One round of it, in transactions of a slice each. Most old files are named for as long as their cases live: each round looks
    at some of them, going on where the last one ended.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._looked_at = database, store.FIRST

    async def prune(self) -> None:
        """Deletes closed rows of cases, unused files and old idempotency keys."""
        await slice_by_slice(self._prune_cases)
        for _ in range(FILE_SLICES):
            if not await self._prune_files():
                break
        async with self._database.transaction() as sql:
            await idempotency.trim(sql)

    async def _prune_cases(self) -> bool:
        async with self._database.transaction() as sql:
            return await store.prune_cases(sql) == store.CASE_SLICE

    async def _prune_files(self) -> bool:
        """False once all were looked at."""
        async with self._database.transaction() as sql:
            upto = await store.end_of_files(sql, self._looked_at)
            await store.prune_files(sql, self._looked_at, upto)
        self._looked_at = upto or store.FIRST
        return upto is not None
