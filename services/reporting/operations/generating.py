"""Telling what versions of a prompt made of its test cases."""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from services.reporting.entities.families import Generation
from services.reporting.entities.runs import PROMPT_TEST_CASE
from services.reporting.operations.learning import Learning
from services.reporting.store import listings
from shared.postgres import Database

BEFORE_ALL = UUID(int=0)


class Generating:
    """Reads runs of prompts' test cases."""

    def __init__(self, database: Database, learning: Learning) -> None:
        self._database, self._learning = database, learning

    async def generations(
        self, workspace: UUID, prompt_id: UUID, version_ids: Sequence[UUID]
    ) -> AsyncGenerator[Sequence[Generation], None]:
        """Oldest first, some at a time, and no connection held while they are read."""
        await self._learning.open_of_group(workspace, PROMPT_TEST_CASE, str(prompt_id))
        after = BEFORE_ALL
        while some := await self._next(workspace, prompt_id, version_ids, after):
            yield some
            after = some[-1].run_id

    async def _next(self, workspace: UUID, prompt_id: UUID, version_ids: Sequence[UUID], after: UUID) -> Sequence[Generation]:
        async with self._database.connection() as connection:
            return await listings.generations(connection, workspace, prompt_id, version_ids, after)
