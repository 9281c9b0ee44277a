"""Thousands of event streams in which nothing happens, and a restart of what they come through."""

import asyncio
import contextlib
import random
import resource
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from tests.bench.figures import Figure
from tests.chaos.site import Site
from tests.suite.client import Event, event_of
from tests.suite.faults import ENDED, Scene, a_scene, wait_for
from tests.suite.target import ChatServer, serving

LEASE = 15
STREAMS_A_RUN = 100
PARTS, PART = 3, 4
CASES = PARTS * PART
LAST = tuple(f"run.{status}" for status in ENDED)
OPENING_AT_ONCE = 50
SPARE_FILES = 500
OPENED_WITHIN, GROWN_WITHIN, ENDED_WITHIN = 120.0, 60.0, 180.0
# What an EventSource waits by default, unless the stream says otherwise: ours says one second.
RETRY_SECONDS = 1.0


class StagedServer(ChatServer):
    """Answers the first part of the questions at once, and each later one only when it is let."""

    def __init__(self) -> None:
        super().__init__(latency=0.0)
        self.parts = [threading.Event() for _ in range(PARTS)]
        self.parts[0].set()

    def answer(self, question: str, key: str) -> str:
        """Waits until its part is let."""
        self.parts[int(question.rpartition(" ")[2]) // PART].wait(GROWN_WITHIN + ENDED_WITHIN)
        return super().answer(question, key)


@dataclass
class Listener:
    """One client that keeps to a run's stream, coming back whenever it ends."""

    run_id: str
    events: list[Event] = field(default_factory=list)
    connected: bool = False
    resumed: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether it heard the run's last event."""
        return bool(self.events) and self.events[-1].event in LAST

    async def listen(self, session: aiohttp.ClientSession, url: str, gate: asyncio.Semaphore) -> None:
        """Until the last event, or cancelled."""
        while not self.has_ended:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                await self._once(session, url, gate)
            self.connected = False
            if not self.has_ended:
                await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 spreads load

    async def _once(self, session: aiohttp.ClientSession, url: str, gate: asyncio.Semaphore) -> None:
        position = {"last-event-id": str(self.events[-1].id)} if self.events else {}
        async with contextlib.AsyncExitStack() as opened:
            async with gate:
                answer = await opened.enter_async_context(session.get(url, headers=position))
            if answer.status != HTTPStatus.OK:
                return
            self.resumed += bool(position)
            self.connected = True
            async for event in _numbered(answer.content):
                self.events.append(event)


async def _numbered(content: aiohttp.StreamReader) -> AsyncIterator[Event]:
    """The events that have a number; one that is cut off in the middle is none, as for a browser."""
    lines: list[str] = []
    async for raw in content:
        line = raw.decode().rstrip("\r\n")
        if line:
            lines.append(line)
            continue
        event = event_of(lines) if lines else Event()
        lines = []
        if event.id is not None:
            yield event


def idle_streams(site: Site, wanted: int) -> list[Figure]:
    """Streams of runs that wait for their target, through a restart of gateway and reporting; the runs go on while both are away."""
    spare, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(wanted, spare - SPARE_FILES)
    runs = max(1, -(-many // STREAMS_A_RUN))
    with serving(StagedServer()) as target:
        scene = a_scene(site.stack, target.base_url, CASES, concurrency=runs * CASES)
        run_ids = scene.start(runs)
        wait_for(lambda: _all_have(scene, run_ids, PART), bool, GROWN_WITHIN)
        site.say(f"  {runs} runs are idle")
        listeners = [Listener(run_ids[number % runs]) for number in range(many)]
        try:
            seconds = asyncio.run(_restarted(site, target, listeners))
        finally:
            for part in target.parts:
                part.set()
        scene.await_end(run_ids, ENDED_WITHIN)
    limit = "" if many == wanted else f"ulimit -n is {spare}"
    return [Figure("streams", "idle streams", str(many), str(wanted), limit), *seconds, *_of(listeners)]


def _all_have(scene: Scene, run_ids: Sequence[str], results: int) -> bool:
    return all(scene.run(run_id)["completed_cases"] >= results for run_id in run_ids)


async def _restarted(site: Site, target: StagedServer, listeners: Sequence[Listener]) -> list[Figure]:
    env = site.stack.env()
    gate = asyncio.Semaphore(OPENING_AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
    headers = {"authorization": f"Bearer {env['ASSAY_TOKEN']}", "accept": "text/event-stream"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout, headers=headers) as session:
        tasks = [asyncio.create_task(each.listen(session, _url(env, each), gate)) for each in listeners]
        try:
            opened = await _until(lambda: all(each.connected and len(each.events) > PART for each in listeners), OPENED_WITHIN)
            site.say(f"  all streams are open and idle after {opened:.1f} s")
            before = sum(each.connected for each in listeners)
            await asyncio.to_thread(_restart, site, target)
            again = await _until(lambda: all(each.connected and len(each.events) > 2 * PART for each in listeners), OPENED_WITHIN)
            site.say(f"  all streams are open again after {again:.1f} s")
            target.parts[2].set()
            await _until(lambda: all(each.has_ended for each in listeners), ENDED_WITHIN)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return [
        Figure("streams", "  open before the restart", str(before), str(len(listeners)), f"after {opened:.1f} s"),
        Figure("streams", "  all back, after", f"{again:.1f} s", f"< {OPENED_WITHIN:g} s"),
    ]


def _url(env: Mapping[str, str], listener: Listener) -> str:
    return f"{env['ASSAY_URL']}/v1/evaluation/runs/{listener.run_id}/events"


def _restart(site: Site, target: StagedServer) -> None:
    """The second part of each run is executed while nobody could hear of it."""
    for name in ("envoy", "reporting"):
        site.stack.stop(name)
    target.parts[1].set()
    time.sleep(RETRY_SECONDS)
    for name in ("reporting", "envoy"):
        site.stack.start(name)


async def _until(reached: Callable[[], bool], within: float) -> float:
    """Seconds until it was, `within` if it never was."""
    began = time.monotonic()
    # Of thousands of listeners: an event for each of their states would be much for a test.
    while not reached() and time.monotonic() < began + within:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return min(within, time.monotonic() - began)


def _of(listeners: Sequence[Listener]) -> list[Figure]:
    whole = range(1, CASES + 3)
    heard = [[event.id or 0 for event in each.events] for each in listeners]
    missed = sum(len(set(whole) - set(ids)) for ids in heard)
    repeated = sum(len(ids) - len(set(ids)) for ids in heard)
    different = {(each.run_id, event.id, str(event.data)) for each in listeners for event in each.events}
    return [
        Figure("streams", "  resumed by Last-Event-ID", str(sum(each.resumed > 0 for each in listeners)), str(len(listeners))),
        Figure("streams", "events missed", str(missed), "0", f"of {len(whole) * len(listeners):,}"),
        Figure("streams", "events repeated", str(repeated), "0"),
        Figure("streams", "events out of order", str(sum(ids != sorted(ids) for ids in heard)), "0"),
        Figure("streams", "events that two clients heard differently", str(len(different) - len({each[:2] for each in different})), "0"),
    ]
