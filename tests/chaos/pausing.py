"""Runners are stopped past their lease, and go on as if nothing had been."""

import signal
import time

from tests.bench.figures import Figure
from tests.chaos.site import Load, Progress, Site, stillness, verdict
from tests.chaos.witness import Witness
from tests.suite.faults import a_scene
from tests.suite.target import chat_server

LEASE = 3
# Long enough for the second worker to be in the middle of a case when the first one comes back with its answer.
LATENCY, CONCURRENCY = 1.5, 24
CASES = 200
STOPPED = (1.1, 2.5)
"""In leases."""
BETWEEN = (0.5, 3.0)
WITHIN = 180.0


def pauses(site: Site, rounds: int) -> list[Figure]:
    """SIGSTOP of a runner for longer than its lease, while the other one takes over what it held."""
    with chat_server(LATENCY) as target, Witness(site) as witness:
        scene = a_scene(site.stack, target.base_url, CASES, CONCURRENCY)
        with Progress(site.database) as progress:
            with Load(scene, first=2, least=2) as load:
                for number in range(1, rounds + 1):
                    time.sleep(site.chance.uniform(*BETWEEN))
                    _pause(site, site.chance.choice(("runner-1", "runner-2")), number)
            figures = verdict(site, load, "pauses", CASES, WITHIN)
    return [
        Figure("pauses", "runners stopped past their lease", str(rounds), note=f"{LEASE} s"),
        *witness.figures("pauses"),
        *figures,
        stillness("pauses", progress, aim=""),
    ]


def _pause(site: Site, name: str, number: int) -> None:
    seconds = LEASE * site.chance.uniform(*STOPPED)
    site.say(f"  {number}: {name} for {seconds:.1f} s")
    site.stack.kill(name, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        site.stack.kill(name, signal.SIGCONT)
