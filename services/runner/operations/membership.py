"""Being one of the live runners."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from services.runner.store import instances
from services.runner.store.instances import Members
from shared.postgres import Database


async def beat(database: Database, me: tuple[UUID, str], lease: timedelta, fits: Callable[[Members], bool]) -> None:
    """Joins as (id, name), or stays; `fits` is told who lives, and says whether this runner's calls fit its share of now."""
    async with database.transaction() as connection:
        members = await instances.beat(connection, me[0], me[1], lease)
        if fits(members):
            await instances.settle(connection, me[0], members.now)


async def leave(database: Database, me: UUID) -> None:
    """Frees this runner's share at once."""
    async with database.transaction() as connection:
        await instances.leave(connection, me)
