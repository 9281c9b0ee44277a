"""What every check has: a stack to hurt, chance, runs that go on meanwhile, and how it is seen whether anything was lost."""

import asyncio
import contextlib
import random
import signal
import time
import urllib.error
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from deploy.local.stack import Stack
from shared.postgres import OUTAGES
from tests.bench.figures import Figure
from tests.chaos.background import Background
from tests.suite.faults import Scene, UnavailableError, findings, wait_for
from tests.suite.oracle import OPEN

LOOK_SECONDS = 0.25
RECOVERY = 30.0
RESULTS = f"""
SELECT (SELECT coalesce(sum(last_seq), 0) FROM reporting.runs) AS events, (SELECT count(*) FROM runner.runs WHERE state IN {OPEN}) AS open
"""


@dataclass(frozen=True)
class Site:
    """A stack, and what decides how it is hurt."""

    stack: Stack
    chance: random.Random
    say: Callable[[str], None]

    @property
    def database(self) -> str:
        """The URL of the role that sees every schema."""
        return self.stack.env()["ASSAY_DATABASE_URL"]

    def kill_one_of(self, names: Sequence[str]) -> str:
        """Ends one of these that runs, and says which. One that has just been killed may not be back yet."""
        while True:
            name = self.chance.choice(names)
            with contextlib.suppress(ProcessLookupError):
                self.stack.kill(name, signal.SIGKILL)
                return name


@dataclass
class Progress(Background):
    """How far all runs are, looked at four times a second, over whatever happens to Postgres."""

    database: str
    events: int = 0
    longest: float = 0.0
    """The longest time, in seconds, in which runs were open and nothing happened that reporting could tell of."""
    _since: float = field(default_factory=time.monotonic)

    def work(self) -> None:
        """Looks on."""
        asyncio.run(self._watch())

    def grows(self, within: float) -> bool:
        """Whether anything happens from now on within so many seconds."""
        before = self.events
        return bool(wait_for(lambda: self.events, lambda now: now > before, within) > before)

    async def _watch(self) -> None:
        while not self.stopping.is_set():
            with contextlib.suppress(*OUTAGES):
                await self._look_on()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_on(self) -> None:
        connection = await asyncpg.connect(self.database, timeout=5)
        try:
            while not self.stopping.is_set():
                (row,) = await connection.fetch(RESULTS, timeout=5)
                self._see(row["events"], row["open"])
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            connection.terminate()

    def _see(self, events: int, open_runs: int) -> None:
        now = time.monotonic()
        # Whatever has just ended a stillness: it lasted until now.
        self.longest = max(self.longest, now - self._since)
        if events != self.events or not open_runs:
            self.events, self._since = events, now


@dataclass
class Load(Background):
    """Starts `first` runs at once and then another whenever fewer than `least` are open, until the block ends."""

    scene: Scene
    first: int
    least: int = 1
    runs: list[str] = field(default_factory=list)
    """Ids of all that were accepted."""
    refusals: list[str] = field(default_factory=list)
    """What a client that repeats itself for 30 s was refused, or not answered at all."""

    def prepare(self) -> None:
        """Starts the first."""
        self.runs += self.scene.start(self.first)

    def work(self) -> None:
        """Starts the others."""
        open_runs = list(self.runs)
        while not self.stopping.wait(0.5):
            try:
                open_runs = self.scene.unfinished(open_runs)
                if len(open_runs) < self.least:
                    new = self.scene.start(1)
                    open_runs += new
                    self.runs += new
            except (UnavailableError, urllib.error.HTTPError) as fault:
                self.refusals.append(repr(fault))


def verdict(site: Site, load: Load, case: str, cases: int, within: float) -> list[Figure]:
    """What became of the runs, at most `within` seconds from now. Each has so many cases."""
    left = wait_for(lambda: load.scene.unfinished(load.runs), lambda rest: not rest, within)
    runs = [load.scene.run(run_id) for run_id in load.runs]
    broken = [run["id"] for run in runs if run["status"] != "completed"]
    results, different = asyncio.run(_results(site.database, [UUID(run_id) for run_id in load.runs]))
    found = findings(site.stack, load.runs)
    wanted = cases * len(runs)
    return [
        Figure(case, "runs accepted", str(len(runs)), note=f"{cases} cases each"),
        Figure(case, "  not completed", str(len(broken)), "0", f"{len(left)} still open; {', '.join(broken[:2])}" if broken else ""),
        Figure(case, "  results lost", str(wanted - different), "0", f"of {wanted:,}"),
        Figure(case, "  results doubled", str(results - different), "0"),
        Figure(case, "  results that blame a case", str(sum(run["error_cases"] for run in runs)), "0"),
        Figure(case, "requests refused for 30 s", str(len(load.refusals)), "0", "; ".join(load.refusals[:2])),
        Figure(
            case, "oracle: things that must not be", str(len(found)), "0", "; ".join(f"{name}: {rows[:1]}" for name, rows in found.items())
        ),
    ]


async def _results(database: str, run_ids: Sequence[UUID]) -> tuple[int, int]:
    """How many results there are, and of how many different cases."""
    connection = await asyncpg.connect(database)
    try:
        (row,) = await connection.fetch(
            """
            SELECT count(*) AS results, count(DISTINCT (run_id, test_case_id, repeat)) AS different
            FROM reporting.results WHERE run_id = ANY($1::uuid[])
            """,
            list(run_ids),
        )
        return int(row["results"]), int(row["different"])
    finally:
        await connection.close()


def stillness(case: str, progress: Progress, aim: str = f"<= {RECOVERY:g} s") -> Figure:
    """The longest time in which nothing went on."""
    return Figure(case, "recovery: longest stillness", f"{progress.longest:.1f} s", aim, "no new result though runs were open")
