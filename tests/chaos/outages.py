"""Postgres is stopped for a while, again and again: what was answered 2xx must be there, and nobody needs a restart."""

import contextlib
import time
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.bench.figures import Figure
from tests.chaos.background import Background
from tests.chaos.site import Load, Progress, Site, stillness, verdict
from tests.suite.faults import Scene, UnavailableError, a_scene
from tests.suite.target import chat_server

LEASE = 6
LATENCY, CONCURRENCY, CASES = 0.1, 6, 200
BETWEEN, AWAY = (5.0, 20.0), (0.0, 5.0)
WITHIN = 300.0
WRITERS = 6
WRITE_SECONDS = 0.5
HURRY_SECONDS = 0.3


def outages(site: Site, minutes: float) -> list[Figure]:
    """Stops of 0 to 5 s, every 5 to 20 s."""
    before = site.stack.pids()
    stops = 0
    with chat_server(LATENCY) as target:
        scene = a_scene(site.stack, target.base_url, CASES, CONCURRENCY)
        ends = time.monotonic() + 60 * minutes
        with Progress(site.database) as progress:
            with Load(scene, first=2, least=2) as load, Writer(scene) as writer:
                while time.monotonic() < ends:
                    time.sleep(site.chance.uniform(*BETWEEN))
                    with writer.hurrying():
                        time.sleep(HURRY_SECONDS)
                        site.stack.stop("postgres")
                    _stay_away(site)
                    stops += 1
            figures = verdict(site, load, "outages", CASES, WITHIN)
    ended = [name for name, pid in site.stack.pids().items() if name != "postgres" and pid != before[name]]
    return [
        Figure("outages", "stops of Postgres", str(stops), note=f"in {minutes:g} minutes"),
        *writer.figures("outages"),
        Figure("outages", "processes that ended meanwhile", str(len(ended)), "0", ", ".join(ended)),
        *figures,
        stillness("outages", progress, aim=""),
    ]


def _stay_away(site: Site) -> None:
    seconds = site.chance.uniform(*AWAY)
    site.say(f"  for {seconds:.1f} s")
    time.sleep(seconds)
    site.stack.start("postgres")


@dataclass
class Writer(Background):
    """Six clients that make contexts and rename each, and remember what they were told: none asks twice.

    Between a statement and its commit lies a millisecond: they hurry while Postgres is being stopped, so that some are there.
    """

    scene: Scene
    names: dict[str, set[str]] = field(default_factory=dict)
    """Id → what it may be named: what was answered 2xx, and after it what was not answered."""
    acknowledged: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    _hurry: bool = False

    @contextlib.contextmanager
    def hurrying(self) -> Iterator[None]:
        """For as long as the block lasts, each writes again as soon as it was answered."""
        self._hurry = True
        try:
            yield
        finally:
            self._hurry = False

    def prepare(self) -> None:
        """Finds the connection that the contexts are made with."""
        self._client = self.scene.client
        self._connection = self._client.call("GET", f"/v1/contexts/{self.scene.context_id}")["connection_id"]

    def figures(self, case: str) -> list[Figure]:
        """What is there, once Postgres is."""
        lost = [context_id for context_id, names in self.names.items() if self._read(context_id) not in names]
        return [
            Figure(case, "writes answered 2xx", str(len(self.acknowledged)), "> 0", f"{len(self.unanswered)} answered 503 or not at all"),
            Figure(case, "  of which something is not there", str(len(lost)), "0", ", ".join(lost[:2])),
            Figure(case, "  answered otherwise", str(len(self.refusals)), "0", "; ".join(self.refusals[:2])),
        ]

    def _read(self, context_id: str) -> str:
        try:
            return str(self._client.call("GET", f"/v1/contexts/{context_id}")["name"])
        except urllib.error.HTTPError as refusal:
            if refusal.code != HTTPStatus.NOT_FOUND:
                raise
            return ""

    def work(self) -> None:
        """Writes."""
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(self._write, range(WRITERS)))

    def _write(self, writer: int) -> None:
        number = 0
        while not self.stopping.wait(0 if self._hurry else WRITE_SECONDS):
            number += 1
            made = self._written("POST", "/v1/contexts", f"written {writer} {number}")
            if made:
                self._rename(made, f"written {writer} {number}", f"renamed {writer} {number}")

    def _rename(self, context_id: str, old: str, new: str) -> None:
        self.names[context_id] = {old, new}
        if self._written("PUT", f"/v1/contexts/{context_id}", new):
            self.names[context_id] = {new}

    def _written(self, method: str, path: str, name: str) -> str:
        """The id, if it was answered 2xx."""
        body = {"name": name, "connection_id": self._connection}
        try:
            made = self._client.once(method, path, body)
        except UnavailableError:
            self.unanswered.append(path)
            return ""
        except urllib.error.HTTPError as refusal:
            self.refusals.append(f"{method} {path}: {refusal.code}")
            return ""
        self.acknowledged.append(path)
        if body["name"] != made.get("name"):
            self.refusals.append(f"{method} {path}: 2xx with {made}")
        return str(made.get("id", ""))
