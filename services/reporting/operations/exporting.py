"""Exporting a run's results, in constant memory and without holding a connection while the client reads."""

from collections.abc import AsyncIterator

from services.reporting import export
from services.reporting.entities import Run
from services.reporting.store import exports
from shared.postgres import Database


async def export_results(database: Database, run: Run) -> AsyncIterator[bytes]:
    """The run's CSV file in pieces, one row a result, in order of its cases."""
    yield export.header()
    after = exports.START
    while True:
        async with database.connection() as connection:
            rows = await exports.page(connection, run, after)
        if not rows:
            return
        for chunk in export.chunks(rows):
            yield chunk
        after = (rows[-1].ord, rows[-1].evaluator)
