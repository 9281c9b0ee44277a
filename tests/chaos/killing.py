"""Processes are killed; the store of NATS is wiped, or an old copy of it comes back."""

import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.figures import Figure
from tests.chaos.site import Load, Progress, Site, stillness, verdict
from tests.suite.faults import a_scene
from tests.suite.target import chat_server

LEASE = 6
VICTIMS = ("catalog", "runner-1", "runner-2", "scoring-1", "scoring-2", "reporting", "nats", "postgres", "envoy")
LATENCY, CONCURRENCY = 0.1, 3
PAUSES = (0.5, 3.0)
CASES = 200
# 200 kills meet 50 runs: 30 cases a second, a kill every 1.75 s.
KILLS_A_RUN = 4
COPY_AGE = 30.0
LISTENERS = ("scoring-1", "scoring-2", "reporting")
UNHEARD = 1.5
AFTER_WIPE = (1.0, 4.0)
GROWS_WITHIN = 90.0


def _within(runs: int, cases: int) -> float:
    """Four times what the runs would take undisturbed, and the time that lost events take."""
    return 4 * runs * cases * LATENCY / CONCURRENCY + 120


def kills(site: Site, rounds: int) -> list[Figure]:
    """Kill -9 of a random process, again and again."""
    killed: list[str] = []
    with chat_server(LATENCY) as target:
        scene = a_scene(site.stack, target.base_url, CASES, CONCURRENCY)
        with Progress(site.database) as progress:
            with Load(scene, first=max(1, rounds // KILLS_A_RUN)) as load:
                while len(killed) < rounds:
                    killed.append(site.kill_one_of(VICTIMS))
                    site.say(f"  {len(killed)}: {killed[-1]}")
                    time.sleep(site.chance.uniform(*PAUSES))
            figures = verdict(site, load, "kills", CASES, _within(len(load.runs), CASES))
    most = ", ".join(f"{name} {killed.count(name)}" for name in VICTIMS)
    return [Figure("kills", "processes killed", str(len(killed)), str(rounds), most), *figures, stillness("kills", progress)]


def wipes(site: Site, rounds: int) -> list[Figure]:
    """The store of NATS vanishes, so often; then a copy of it that is 30 s old comes back, as often."""
    with chat_server(LATENCY) as target:
        scene = a_scene(site.stack, target.base_url, CASES, CONCURRENCY)
        with Progress(site.database) as progress:
            with Load(scene, first=2, least=2) as load:
                wiped = _repeated(site, progress, rounds, _wipe, "wiped")
                restored = _repeated(site, progress, rounds, _restore, "restored")
            figures = verdict(site, load, "wipes", CASES, _within(4, CASES))
    return [
        Figure("wipes", "stores wiped, and work went on", str(wiped), str(rounds)),
        Figure("wipes", "old copies restored, and work went on", str(restored), str(rounds), f"copies {COPY_AGE:g} s old"),
        *figures,
        stillness("wipes", progress, aim=""),
    ]


def _repeated(site: Site, progress: Progress, rounds: int, hurt: Callable[[Site], None], what: str) -> int:
    """How often work went on afterwards."""
    went_on = 0
    for number in range(1, rounds + 1):
        hurt(site)
        began = time.monotonic()
        # What had left NATS before is still being written: only what comes later shows that it works again.
        time.sleep(site.chance.uniform(*AFTER_WIPE))
        went_on += progress.grows(GROWS_WITHIN)
        site.say(f"  {what} {number}: went on after {time.monotonic() - began:.1f} s")
        time.sleep(site.chance.uniform(*AFTER_WIPE))
    return went_on


def _store(site: Site) -> Path:
    return Path(site.stack.env()["ASSAY_NATS_STORE"])


@contextlib.contextmanager
def _unheard(site: Site) -> Iterator[None]:
    """Whoever hears events is stopped, first for a while: else NATS holds nothing that it could lose."""
    for name in LISTENERS:
        site.stack.kill(name, signal.SIGSTOP)
    try:
        time.sleep(UNHEARD)
        yield
    finally:
        for name in LISTENERS:
            site.stack.kill(name, signal.SIGCONT)


def _wipe(site: Site) -> None:
    with _unheard(site):
        site.stack.kill("nats")
        shutil.rmtree(_store(site), ignore_errors=True)


def _restore(site: Site) -> None:
    """The copy is made while NATS is stopped, or it would be torn, and that would be a test of NATS."""
    store, copy = _store(site), _store(site).with_name("nats-copy")
    site.stack.stop("nats")
    shutil.copytree(store, copy)
    site.stack.start("nats")
    time.sleep(COPY_AGE)
    with _unheard(site):
        site.stack.stop("nats")
        shutil.rmtree(store)
        copy.rename(store)
        site.stack.start("nats")
