"""`python -m tests.chaos.soak 8h`: load and a kill a minute; then how memory and latency have moved. 1 if an aim was missed."""

import argparse
import asyncio
import contextlib
import secrets
import sys
import time
from dataclasses import dataclass, field

import aiohttp

from tests.bench.figures import Figure, quantile
from tests.bench.processes import memory
from tests.chaos.killing import VICTIMS
from tests.chaos.memory import Lives
from tests.chaos.reports import Report
from tests.chaos.site import Site
from tests.cluster.clients import Client, Crowd, Tally, make_subject
from tests.suite.faults import findings
from tests.suite.target import chat_server

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
LEASE = 6
LATENCY, CASES, CONCURRENCY = 0.3, 30, 10
KILL_EVERY, SAMPLE_EVERY = 60.0, 5.0
# In the second half these live on, so that there is a long life of every service to look at.
SPARED = tuple(name for name in VICTIMS if name not in {"runner-2", "scoring-2"})
WARM_UP = 600.0
DISTURBED = 10.0
"""Seconds after a kill whose latencies count for themselves: they tell of the kill, not of a drift."""
SETTLES = 60.0
# In less time a slope per hour and a 99th percentile are noise.
MEANS_SOMETHING = 1800.0
SLOPE_AIM, DRIFT_AIM = "< 1 MB/h", "< 10 %"


@dataclass
class Observed:
    """What a soak has seen so far."""

    seconds: float
    lives: dict[str, Lives] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    disturbed: list[tuple[int, int]] = field(default_factory=list)
    """Which latencies, by their place among all, came soon after a kill."""
    warm: int = 0
    """The place of the first latency after the warm-up."""

    @property
    def warm_up(self) -> float:
        """Seconds; less of a short soak."""
        return min(WARM_UP, self.seconds / 6)


def soak(site: Site, seconds: float) -> list[Figure]:
    """Load for so long."""
    seen = Observed(seconds)
    with chat_server(LATENCY) as target:
        tally = asyncio.run(_run(site, target.base_url, seen))
    runs = [run.id for run in tally.runs]
    found = findings(site.stack, runs)
    wrong = [run.id for run in tally.runs if run.status != "completed" or run.results != run.cases]
    return [
        Figure("soak", "processes killed", str(len(seen.killed)), note=", ".join(f"{name} {seen.killed.count(name)}" for name in VICTIMS)),
        Figure(
            "soak", "requests", str(tally.requests), note=f"{tally.retried} retried, {len(tally.failures)} failed while something was down"
        ),
        Figure("soak", "runs", str(len(runs)), note=f"{CASES} cases each"),
        Figure("soak", "  not completed, or with other than a result a case", str(len(wrong)), "0", ", ".join(wrong[:2])),
        *_latencies(tally, seen),
        *_slopes(seen),
        Figure(
            "soak",
            "oracle: things that must not be",
            str(len(found)),
            "0",
            "; ".join(f"{name}: {rows[:1]}" for name, rows in found.items()),
        ),
    ]


async def _run(site: Site, base_url: str, seen: Observed) -> Tally:
    tally = Tally()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        client = Client(session, site.stack.env(), tally)
        subject = await make_subject(client, base_url, CASES, CONCURRENCY)
        began = time.monotonic()
        async with Crowd(client, subject):
            works = [_sample(site, seen), _kill(site, seen, tally, began), _warm(seen, tally)]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seen.seconds):
                    await asyncio.gather(*works)
    await asyncio.sleep(min(SETTLES, seen.seconds / 6))
    return tally


async def _warm(seen: Observed, tally: Tally) -> None:
    await asyncio.sleep(seen.warm_up)
    seen.warm = len(tally.latencies)


async def _sample(site: Site, seen: Observed) -> None:
    while True:
        for name, pid in site.stack.pids().items():
            if (now := memory(name, pid)) > 0:
                seen.lives.setdefault(name, Lives(seen.warm_up)).see(pid, time.monotonic(), now)
        await asyncio.sleep(SAMPLE_EVERY)


async def _kill(site: Site, seen: Observed, tally: Tally, began: float) -> None:
    while True:
        await asyncio.sleep(KILL_EVERY - DISTURBED)
        late = time.monotonic() - began > seen.seconds / 2
        first = len(tally.latencies)
        seen.killed.append(site.kill_one_of([name for name in VICTIMS if not (late and name in SPARED)]))
        site.say(f"  killed {seen.killed[-1]}; {tally.requests} requests, {len(tally.runs)} runs")
        await asyncio.sleep(DISTURBED)
        seen.disturbed.append((first, len(tally.latencies)))


def _latencies(tally: Tally, seen: Observed) -> list[Figure]:
    """The first third beside the last."""
    skipped = {place for first, last in seen.disturbed for place in range(first, last)}
    calm = [seconds for place, seconds in enumerate(tally.latencies) if place >= seen.warm and place not in skipped]
    third = len(calm) // 3
    if not third:
        return [Figure("soak", "p99 drift", "-", DRIFT_AIM, "nothing was answered")]
    early, late = (1000 * quantile(sorted(part), 0.99) for part in (calm[:third], calm[-third:]))
    note = f"from {early:.0f} to {late:.0f} ms, the {DISTURBED:g} s after kills aside; {len(calm):,} answers"
    return [Figure("soak", "p99 drift", f"{100 * (late - early) / early:.0f} %", _if_long(seen, DRIFT_AIM), note)]


def _slopes(seen: Observed) -> list[Figure]:
    figures = []
    for name, lives in sorted(seen.lives.items()):
        long = lives.at_least(MEANS_SOMETHING)
        shown, aim = (long, SLOPE_AIM) if long.lives else (lives, "")
        figures.append(Figure("soak", f"memory of {name}", f"{shown.slope:.2f} MB/h", aim, f"{_ends(shown)}, {60 * shown.hours:.0f} min"))
    return figures


def _ends(lives: Lives) -> str:
    longest = max(lives.lives.values(), key=len, default=[])
    return (
        f"{longest[0][1]:.0f} to {longest[-1][1]:.0f} MB in the longest of {len(lives.lives)} lives"
        if longest
        else "no life was long enough"
    )


def _if_long(seen: Observed, aim: str) -> str:
    return aim if seen.seconds >= MEANS_SOMETHING else ""


def duration(text: str) -> float:
    """Seconds of `90s`, `10m` or `8h`. Raises ArgumentTypeError."""
    number, unit = text[:-1], text[-1:]
    try:
        return float(number) * UNITS[unit]
    except (KeyError, ValueError) as fault:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration like 90s, 10m or 8h") from fault


def main() -> int:
    """Soaks for as long as was said."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("duration", type=duration, nargs="?", default="10m", help="90s, 10m, 8h; 10m without it")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="decides who is killed; printed")
    wanted = parser.parse_args()
    report = Report(wanted.seed)
    with report.site("soak", LEASE) as site:
        figures = soak(site, wanted.duration)
        report.keep_logs(site.stack, figures)
    return report.end(figures)


if __name__ == "__main__":
    sys.exit(main())
