"""What a stack has done so far, by the counters of Postgres, of NATS and of the kernel, and how much of it a piece of work was."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import asyncpg

from deploy.local.stack import Stack
from tests.bench.processes import busy_seconds, cpu_seconds

# A session of Postgres counts what it did after ten idle seconds at the latest.
SETTLE_SECONDS = 12.0
TABLE, CPU = "table ", "cpu "
# Nothing grows on disk at rest, and a file that shrinks does so once; what others do is nobody's share.
APART = frozenset({"database bytes", "others"})
POSTGRES = f"""
SELECT 'commits', xact_commit::float8 FROM pg_stat_database WHERE datname = current_database()
UNION ALL SELECT 'database bytes', pg_database_size(current_database())
UNION ALL SELECT 'wal bytes', wal_bytes::float8 FROM pg_stat_wal
UNION ALL SELECT 'full-page images', wal_fpi FROM pg_stat_wal
UNION ALL SELECT 'rows inserted', sum(n_tup_ins)::float8 FROM pg_stat_user_tables
UNION ALL SELECT 'rows updated', sum(n_tup_upd)::float8 FROM pg_stat_user_tables
UNION ALL SELECT 'rows deleted', sum(n_tup_del)::float8 FROM pg_stat_user_tables
UNION ALL SELECT '{TABLE}' || schemaname || '.' || relname, pg_total_relation_size(relid) FROM pg_stat_user_tables
"""

Growth = Mapping[str, float]
"""Counter -> by how much it grew: `seconds`, `others` (CPU seconds that the machine spent on anything else), `WORK messages`,
`EVENTS bytes`, those of POSTGRES with the bytes of each table under TABLE, and the CPU seconds of each process under CPU."""


@dataclass(frozen=True)
class Counters:
    """Those of one stack, beside what it does at rest."""

    stack: Stack
    rest: Growth

    def during(self, work: Callable[[], object]) -> Growth:
        """What some work cost beyond rest; `seconds` are those that the work itself took."""
        grown, took = _grown(self.stack, work)
        share = grown["seconds"] / self.rest["seconds"]
        rest = {name: share * value for name, value in self.rest.items() if name not in APART and not name.startswith(TABLE)}
        return {name: value - rest.get(name, 0.0) for name, value in grown.items()} | {"seconds": took}


def counters(stack: Stack, rest_seconds: float) -> Counters:
    """The counters of a stack that is at rest for so long."""
    # What was done before belongs to nobody, and so does what autovacuum would do about it now.
    time.sleep(SETTLE_SECONDS)
    asyncio.run(_vacuum(stack.env()["ASSAY_DATABASE_URL"]))
    return Counters(stack, _grown(stack, lambda: time.sleep(rest_seconds - SETTLE_SECONDS))[0])


def _grown(stack: Stack, work: Callable[[], object]) -> tuple[Growth, float]:
    """What grew until everything was counted, and the seconds that the work took."""
    before = _now(stack)
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    time.sleep(SETTLE_SECONDS)
    return {name: value - before.get(name, 0.0) for name, value in _now(stack).items()}, took


def _now(stack: Stack) -> Growth:
    cpu = {CPU + name: seconds for name, seconds in cpu_seconds(stack.pids()).items()}
    seen = {"seconds": time.monotonic(), "others": busy_seconds() - sum(cpu.values())}
    return {**seen, **cpu, **dict(_streams(stack.ports()["nats-monitor"])), **asyncio.run(_postgres(stack.env()["ASSAY_DATABASE_URL"]))}


def _streams(monitor_port: int) -> Iterator[tuple[str, float]]:
    """Every message that a stream ever took has a number, those that are done and gone too; its bytes are what it still holds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{monitor_port}/jsz?streams=true", timeout=5) as answer:
        accounts = json.load(answer)["account_details"]
    for stream in (stream for account in accounts for stream in account["stream_detail"]):
        yield f"{stream['name']} messages", float(stream["state"]["last_seq"])
        yield f"{stream['name']} bytes", float(stream["state"]["bytes"])


async def _vacuum(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


async def _postgres(url: str) -> Growth:
    connection = await asyncpg.connect(url)
    try:
        return {name: float(value) for name, value in await connection.fetch(POSTGRES)}
    finally:
        await connection.close()
