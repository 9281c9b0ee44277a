"""Exporting a run's results, in constant memory and without holding a connection while the client reads."""

from collections.abc import AsyncGenerator

from services.reporting import export
from services.reporting.entities.runs import Run
from services.reporting.store import exports
from shared.postgres import Database


async def export_results(database: Database, run: Run) -> AsyncGenerator[bytes, None]:
    """The run's CSV file in pieces, one row a result, in order of its cases."""
    yield export.header()
    block = await _next_block(database, run, -1)
    while block is not None:
        after = exports.start_of(block)
        while rows := await _page(database, run, block, after):
            for chunk in export.chunks(rows):
                yield chunk
            after = (rows[-1].ord, rows[-1].evaluator)
        block = await _next_block(database, run, block)


async def _next_block(database: Database, run: Run, after: int) -> int | None:
    async with database.connection() as connection:
        return await exports.next_block(connection, run, after)


async def _page(database: Database, run: Run, block: int, after: tuple[int, str]) -> list[export.Exported]:
    async with database.connection() as connection:
        return await exports.page(connection, run, block, after)
