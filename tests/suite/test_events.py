"""A run's events as a browser reads them: from the first, live, and on after a break."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from tests.suite.builders import RUNS, Builders, Json
from tests.suite.client import Client, Event, stream
from tests.suite.contract import CASE_SCORED, PROGRESS, RUN, conform, refused
from tests.suite.endpoint import Endpoint

SCORED = ("case.scored",)
LAST = ("run.completed", "run.error", "run.cancelled")


def history(client: Client, run: Json, last_event_id: object = None) -> list[Event]:
    """What an ended run's stream tells from there on."""
    with stream(client, run["stream_url"], last_event_id) as events:
        assert events.status == 200, events
        return list(events.events())


def numbered(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.id is not None]


def is_whole(events: Sequence[Event], run: Json) -> None:
    """Asserts what every complete history keeps to."""
    for event in events:
        conform(event.data, {"run.progress": PROGRESS, "case.scored": CASE_SCORED}.get(event.event or "", RUN))
        assert (event.id is None) == (event.event == "run.progress")
    kept = numbered(events)
    assert [event.id for event in kept] == list(range(1, run["completed_cases"] + 3))
    assert [event.event for event in kept] == ["run.started", *SCORED * run["completed_cases"], kept[-1].event]
    assert kept[-1].event in LAST
    assert kept[-1].event == f"run.{run['status']}"
    assert events[-1] is kept[-1]
    assert kept[-1].data == run
    assert kept[0].data["id"] == run["id"]
    assert kept[0].data["completed_cases"] == 0


@dataclass
class Listening:
    """A thread that reads a stream to its end, noting when each block came."""

    client: Client
    run: Json
    timeout: float = 30.0
    blocks: list[tuple[float, Event]] = field(default_factory=list)
    _thread: threading.Thread | None = None

    def start(self) -> "Listening":
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def _read(self) -> None:
        with stream(self.client, self.run["stream_url"], timeout=self.timeout) as events:
            for block in events.blocks():
                self.blocks.append((time.monotonic(), block))

    def heard(self) -> list[Event]:
        """All events, once the stream has ended."""
        assert self._thread
        self._thread.join(60)
        assert not self._thread.is_alive()
        return [block for _, block in self.blocks if block.event]


def a_slow_run(build: Builders, endpoint: Endpoint, gate: str, *pairs: tuple[str, str]) -> Json:
    """A run of these cases and of one that waits at a gate."""
    test_set = build.test_set(build.context(build.endpoint(endpoint.base_url)))
    build.cases(test_set, (f"gate {gate}", "x"), *pairs)
    return build.run(test_set)


@pytest.fixture(scope="module", autouse=True)
def idle(client: Client, build: Builders, endpoint: Endpoint) -> Iterator[Listening]:
    """Listens to a run in which nothing happens, while the other tests go on."""
    run = a_slow_run(build, endpoint, "idle")
    listening = Listening(client, run, timeout=60).start()
    yield listening
    endpoint.gate("idle").open()
    listening.heard()


@pytest.fixture(scope="module")
def ended(build: Builders) -> Json:
    """A completed run of 5 results."""
    return build.finished(build.a_set_of(*((f"q{number}", "q2") for number in range(5))))


def test_a_late_reader_gets_the_whole_history(client: Client, ended: Json) -> None:
    is_whole(history(client, ended), ended)
    assert history(client, ended) == history(client, ended)


def test_the_scored_cases_are_the_results(client: Client, build: Builders, ended: Json) -> None:
    told = [event.data for event in history(client, ended) if event.event == "case.scored"]
    results = build.results(ended)
    keys = ("test_case_id", "repeat", "status", "score")
    assert sorted(told, key=str) == sorted(({key: result[key] for key in keys} for result in results), key=str)


def test_the_stream_is_one_that_browsers_read(client: Client, ended: Json) -> None:
    with stream(client, ended["stream_url"]) as events:
        assert events.headers["content-type"].partition(";")[0] == "text/event-stream"
        first = next(events.blocks())
        assert first.retry is not None
        list(events.blocks())


def test_a_resume_gives_exactly_the_rest_at_every_position(client: Client, ended: Json) -> None:
    whole = numbered(history(client, ended))
    for position in range(len(whole)):
        assert numbered(history(client, ended, position)) == whole[position:]


@pytest.mark.parametrize("beyond", [0, 1, 1000, 10**30])
def test_nothing_is_left_at_the_end_of_an_ended_run(client: Client, ended: Json, beyond: int) -> None:
    last = ended["completed_cases"] + 2
    answer = client.get(ended["stream_url"], last_event_id=str(last + beyond))
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("position", ["one", "-1", "1.5", "0x1", "1e0", "1,2", "\u0661"])
def test_a_position_that_is_no_number_is_refused(client: Client, ended: Json, position: str) -> None:
    with client.connected() as connection:
        connection.putrequest("GET", ended["stream_url"])
        for name, value in {**client.headers, "last-event-id": position}.items():
            connection.putheader(name, value.encode())
        connection.endheaders()
        response = connection.getresponse()
        assert (response.status, response.read()[:10]) == (400, b'{"code":3,')


def test_an_empty_position_is_the_beginning(client: Client, ended: Json) -> None:
    is_whole(history(client, ended, ""), ended)


@pytest.mark.parametrize("what", ["passed and failed", "errors", "repeats", "scenario"])
def test_every_run_tells_of_each_result_once(client: Client, build: Builders, endpoint: Endpoint, what: str) -> None:
    context = build.context(build.endpoint(endpoint.base_url))
    test_set = build.test_set(context, mode="scenario" if what == "scenario" else "independent")
    build.cases(test_set, ("a", "a"), ("b", "x"), *([("status 400", "x"), ("garbage", "x")] if what == "errors" else []))
    run = build.finished(test_set, repeats=3 if what == "repeats" else 1)
    events = history(client, run)
    is_whole(events, run)
    told = [(e.data["test_case_id"], e.data["repeat"], e.data["status"]) for e in events if e.event == "case.scored"]
    assert sorted(told) == sorted((r["test_case_id"], r["repeat"], r["status"]) for r in build.results(run))
    assert all("score" not in event.data for event in events if event.event == "case.scored" and event.data["status"] == "error")


def test_a_live_reader_hears_everything_as_it_happens(client: Client, build: Builders, endpoint: Endpoint) -> None:
    run = a_slow_run(build, endpoint, "live", ("a", "a"), ("b", "x"))
    with stream(client, run["stream_url"]) as opened:
        events = opened.events()
        seen = [next(events)]
        while len(numbered(seen)) < 3:
            seen.append(next(events))
        assert [event.event for event in numbered(seen)] == ["run.started", "case.scored", "case.scored"]
        assert build.read(run)["status"] == "running"
        endpoint.gate("live").open()
        seen += events
    is_whole(seen, build.ended(run))
    assert numbered(seen) == numbered(history(client, run))


def test_a_reader_that_comes_back_misses_nothing_and_hears_nothing_twice(client: Client, build: Builders, endpoint: Endpoint) -> None:
    run = a_slow_run(build, endpoint, "broken", *((f"q{number}", "x") for number in range(6)))
    kept: list[Event] = []
    while not kept or kept[-1].event not in LAST:
        with stream(client, run["stream_url"], kept[-1].id if kept else None) as opened:
            assert opened.status == 200
            events = (event for event in opened.events() if event.id is not None)
            kept += [event for event, _ in zip(events, range(2), strict=False)]
        if len(kept) >= 6:
            endpoint.gate("broken").open()
    is_whole(kept, build.ended(run))


def test_several_readers_hear_the_same(client: Client, build: Builders, endpoint: Endpoint) -> None:
    run = a_slow_run(build, endpoint, "many", *((f"q{number}", "x") for number in range(5)))
    readers = [Listening(client, run).start() for _ in range(5)]
    endpoint.gate("many").open()
    heard = [numbered(reader.heard()) for reader in readers]
    is_whole(heard[0], build.ended(run))
    assert all(each == heard[0] for each in heard)


def test_progress_comes_at_most_twice_a_second(client: Client, build: Builders, endpoint: Endpoint) -> None:
    test_set = build.test_set(build.context(build.endpoint(endpoint.base_url, max_concurrency=4)))
    build.cases(test_set, *[("sleep 0.1", "x")] * 60)
    run = build.run(test_set)
    began = time.monotonic()
    listening = Listening(client, run).start()
    is_whole(listening.heard(), build.ended(run))
    told = [(at, block.data) for at, block in listening.blocks if block.event == "run.progress"]
    assert told
    counts: list[Any] = [data["completed_cases"] for _, data in told]
    assert counts == sorted(counts)
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(told)]
    # Since before the first: a block may come late, but none is sent early.
    assert len(told) <= 2 * (told[-1][0] - began) + 1, gaps


def test_a_cancelled_run_says_so_last(client: Client, build: Builders, endpoint: Endpoint) -> None:
    run = a_slow_run(build, endpoint, "cut", ("a", "a"))
    listening = Listening(client, run).start()
    assert endpoint.gate("cut").arrived.acquire(timeout=10)
    client.post(f"{RUNS}/{run['id']}/cancel")
    endpoint.gate("cut").open()
    events = listening.heard()
    assert events[-1].event == "run.cancelled"
    is_whole(events, events[-1].data)
    assert client.get(run["stream_url"], last_event_id=str(events[-1].id)).status == 204


def test_a_stream_wants_credentials_and_a_run(client: Client, anonymous: Client, other: Client, ended: Json) -> None:
    refused(anonymous.get(ended["stream_url"]), 401)
    refused(other.get(ended["stream_url"]), 404)
    refused(client.get(f"{RUNS}/nonsense/events"), 404)


def test_an_idle_stream_says_that_it_lives(idle: Listening) -> None:
    def comments() -> list[float]:
        return [at for at, block in idle.blocks if block.comment is not None]

    ends = time.monotonic() + 30
    while not comments() and time.monotonic() < ends:
        time.sleep(0.2)
    quiet_since = max(at for at, block in idle.blocks if block.comment is None and at < (comments() or [ends])[0])
    assert comments(), idle.blocks
    assert comments()[0] - quiet_since <= 20
