"""What is done to the installation, and what must hold afterwards. Each check returns its figures."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import asyncpg

from deploy.local.postgres import SERVICES
from shared.topics import EVENTS, WORK
from tests.bench.figures import Figure, quantile
from tests.cluster.clients import Client, Crowd, Json, Subject, Tally, ended, make_subject, start_run
from tests.cluster.installation import Installation, Instance
from tests.cluster.timeline import timeline
from tests.suite.oracle import findings
from tests.suite.target import chat_server

DEMO_WITHIN = 300.0
LATENCY = 0.3
"""Seconds that the endpoint takes, so that every restart meets calls that are under way."""
CASES = 30
CONCURRENCY = 10
# Envoy asks each endpoint every 2 s; the kubelet would leave no less between two pods either.
SETTLE = 2.5
SETTLED_WITHIN = 45
LEADER_CASES, LEADER_REPEATS, LEADER_LATENCY, LEADER_CONCURRENCY = 100, 20, 0.05, 32
KILL_AFTER = 1.5
RECOVERY = 30.0


@dataclass(frozen=True)
class Site:
    """The installation, a client of it, and where its endpoint for runs is."""

    installation: Installation
    say: Callable[[str], None]


@contextlib.asynccontextmanager
async def _client(site: Site) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Client(session, site.installation.env, Tally())


async def demo(site: Site) -> list[Figure]:
    """The demo, against the containers' gateway."""
    began = time.monotonic()
    environment = {**os.environ, "ASSAY_LOCAL_DIR": str(site.installation.folder)}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "deploy.demo"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEMO_WITHIN,
        check=False,
    )
    (site.installation.folder / "demo.log").write_text(done.stdout + done.stderr)
    verdict = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("verdict")]
    passed = done.returncode == 0 and verdict
    note = (verdict or [done.stderr[-300:]])[0]
    outcome = Figure("demo", "through the containers", "passed" if passed else "FAILED", "passed", note)
    return [outcome, Figure("demo", "  seconds", f"{time.monotonic() - began:.1f}")]


@dataclass
class Stillness:
    """The longest time without a new result."""

    longest: float = 0.0
    _results: int = -1
    _since: float = field(default_factory=time.monotonic)

    def see(self, run: Json) -> None:
        """Notes a state of the run."""
        now = time.monotonic()
        if run["completed_cases"] != self._results:
            self._results, self._since = run["completed_cases"], now
        self.longest = max(self.longest, now - self._since)


async def leader_killed(site: Site) -> list[Figure]:
    """Kill -9 of the server that leads a stream, during a run; once for each stream."""
    brokers = site.installation.brokers
    figures = [Figure("leader", f"copies of {stream}", str(await brokers.replicas(stream)), "3") for stream in (WORK, EVENTS)]
    with chat_server(LEADER_LATENCY) as endpoint:
        async with _client(site) as client:
            subject = await make_subject(client, endpoint.base_url, LEADER_CASES, LEADER_CONCURRENCY)
            for stream in (WORK, EVENTS):
                figures += await _run_through_a_kill(site, client, subject, stream)
    return figures


async def _run_through_a_kill(site: Site, client: Client, subject: Subject, stream: str) -> list[Figure]:
    run, still = await start_run(client, subject, LEADER_REPEATS), Stillness()
    await asyncio.sleep(KILL_AFTER)
    leader = await site.installation.brokers.leader(stream)
    leader.kill()
    site.say(f"killed {leader.name}, which led {stream}")
    outcome = await ended(client, run, still.see, poll=0.1)
    leader.start()
    await asyncio.to_thread(site.installation.brokers.wait_ready)
    wanted = LEADER_CASES * LEADER_REPEATS
    return [
        Figure("leader", f"{stream}: results", f"{outcome.results} of {wanted}", str(wanted), outcome.status),
        Figure(
            "leader",
            f"{stream}: longest stillness",
            f"{still.longest:.1f} s",
            f"<= {RECOVERY:g} s",
            f"the run took {outcome.seconds:.1f} s",
        ),
        Figure("leader", f"{stream}: failed requests", str(len(client.tally.failures)), "0", "; ".join(client.tally.failures[:2])),
    ]


@dataclass(frozen=True)
class Rounds:
    """How often, and for how long at most."""

    number: int
    minutes: float


async def rolling_restarts(site: Site, wanted: Rounds) -> list[Figure]:
    """SIGTERM to one process of every service at once, then to the other, again and again, under load."""
    deadline = time.monotonic() + 60 * wanted.minutes
    rounds, seen = 0, 0
    stops: list[float] = []
    killed: list[str] = []
    with chat_server(LATENCY) as endpoint:
        async with _client(site) as client:
            subject = await make_subject(client, endpoint.base_url, CASES, CONCURRENCY)
            async with Crowd(client, subject):
                while rounds < wanted.number and time.monotonic() < deadline:
                    for process in (1, 2):
                        stops += await _restarted(site.installation.numbered(process), killed)
                        await asyncio.sleep(SETTLE)
                    rounds += 1
                    site.say(f"round {rounds}: {client.tally.requests} requests, {client.tally.retried} retried, {len(stops)} restarts")
                    for failure in client.tally.failures[seen:]:
                        site.say(f"  failed: {failure}")
                    seen = len(client.tally.failures)
    if client.tally.runs:
        slowest = max(client.tally.runs, key=lambda run: run.seconds)
        (site.installation.folder / "slowest.txt").write_text(await timeline(site.installation.database_url, slowest.id))
    return [
        Figure("rolling", "processes ended by SIGTERM", str(len(stops)), note=f"in {rounds} rounds"),
        Figure("rolling", "  slowest to end", f"{max(stops):.1f} s", "<= 15 s", f"median {quantile(sorted(stops), 0.5):.1f} s"),
        Figure("rolling", "  that had to be killed", str(len(killed)), "0", ", ".join(killed[:4])),
        *_of_load("rolling", client.tally),
        Figure("rolling", "leases that ran out", str(await _expired(site.installation)), "0"),
    ]


async def _restarted(instances: Sequence[Instance], killed: list[str]) -> list[float]:
    took = await asyncio.gather(*(asyncio.to_thread(each.container.stop) for each in instances))
    killed += [each.container.name for each in instances if each.container.exit_code() != 0]
    await asyncio.gather(*(asyncio.to_thread(_start, each) for each in instances))
    return took


def _start(instance: Instance) -> None:
    instance.container.start()
    instance.wait_serving()


def _of_load(case: str, tally: Tally) -> list[Figure]:
    slow = sorted(run.seconds for run in tally.runs)
    wrong = [run.id for run in tally.runs if run.status != "completed" or run.results != run.cases]
    latencies = sorted(tally.latencies)
    return [
        Figure(
            case, "requests", str(tally.requests), note=f"p99 {1000 * quantile(latencies, 0.99):.0f} ms, the wait before a retry included"
        ),
        Figure(case, "  answered 503 and tried again once", str(tally.retried)),
        Figure(case, "  failed", str(len(tally.failures)), "0", "; ".join(tally.failures[:3])),
        Figure(case, "runs", str(len(tally.runs)), note=f"{CASES} cases each"),
        Figure(case, "  not completed, or with other than a result a case", str(len(wrong)), "0", ", ".join(wrong[:2])),
        Figure(case, "  longest", f"{slow[-1]:.1f} s", "< 15 s", f"median {quantile(slow, 0.5):.1f} s; a lease is 15 s"),
    ]


async def _expired(installation: Installation) -> int:
    connection = await asyncpg.connect(installation.database_url)
    try:
        return int(await connection.fetchval("SELECT coalesce(sum(expiries), 0) FROM runner.run_cases"))
    finally:
        await connection.close()


# What expanding migrations do: a column with a default and a table that the old code doesn't know; then an index, in a file of its
# own, since dbmate sends a file as one query, and Postgres makes a transaction of several statements.
EXPANSIONS = {
    "9998": """-- migrate:up
SET lock_timeout = '5s';
ALTER TABLE {table} ADD COLUMN under_load text NOT NULL DEFAULT '';
CREATE TABLE under_load_new (id uuid PRIMARY KEY);

-- migrate:down
""",
    "9999": """-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY under_load ON {table} (under_load);

-- migrate:down transaction:false
""",
}
BUSIEST = {"catalog": "test_cases", "runner": "run_cases", "scoring": "scores", "reporting": "results"}


async def migration(site: Site) -> list[Figure]:
    """The migrations' container with two further, expanding files for each service, under load; then once more, in vain."""
    job = replace(site.installation.migrations, mounts=_mounts(site.installation.folder))
    with chat_server(LATENCY) as endpoint:
        async with _client(site) as client:
            subject = await make_subject(client, endpoint.base_url, CASES, CONCURRENCY)
            async with Crowd(client, subject):
                await asyncio.sleep(SETTLE)
                began = time.monotonic()
                await asyncio.to_thread(job.run)
                took = time.monotonic() - began
                await asyncio.to_thread(job.run)
                await asyncio.sleep(2 * SETTLE)
    return [
        Figure("migration", "four schemas, two files each", f"{took:.1f} s", "<= 60 s"),
        Figure("migration", "files that were applied", str(await _applied(site.installation)), str(len(SERVICES) * len(EXPANSIONS))),
        *_of_load("migration", client.tally),
    ]


def _mounts(folder: Path) -> list[str]:
    mounts = []
    for service in SERVICES:
        for version, text in EXPANSIONS.items():
            file = folder / f"{version}_{service}.sql"
            file.write_text(text.format(table=BUSIEST[service]))
            mounts.append(f"{file}:/opt/assay/services/{service}/migrations/{version}_under_load.sql:ro")
    return mounts


async def _applied(installation: Installation) -> int:
    connection = await asyncpg.connect(installation.database_url)
    try:
        found = [
            await connection.fetchval(f"SELECT count(*) FROM {service}.schema_migrations WHERE version IN ('9998', '9999')")
            for service in SERVICES
        ]
    finally:
        await connection.close()
    return sum(found)


async def nothing_wrong(site: Site) -> list[Figure]:
    """The oracle over all schemas, as soon as it is satisfied."""
    for _ in range(SETTLED_WITHIN):
        if not (found := await findings(site.installation.database_url, settled=False)):
            break
        await asyncio.sleep(1)
    return [
        Figure("oracle", "things that must not be", str(len(found)), "0", "; ".join(f"{name}: {rows[:1]}" for name, rows in found.items()))
    ]
