"""Comparing two runs."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

from services.reporting.comparison import Comparison, compared
from services.reporting.entities.runs import Run
from services.reporting.store import comparisons
from shared.postgres import Database


async def compare_runs(database: Database, run_a: Run, run_b: Run) -> tuple[Comparison, Mapping[UUID, str]]:
    """What changed from run_a to run_b, and what the changed cases ask."""
    async with database.connection() as connection:
        cases_a = await comparisons.cases(connection, run_a)
        cases_b = await comparisons.cases(connection, run_b)
        # In a thread: with 100,000 cases it would hold up every other call for a second.
        found = await asyncio.to_thread(compared, run_a, run_b, cases_a, cases_b)
        changed = [change.a.test_case_id for change in (*found.improved, *found.regressed)]
        return found, await comparisons.questions(connection, run_a, changed)
