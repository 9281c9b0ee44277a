"""Cases (a), (b) and (c): whole evaluations, from a CSV to a completed run."""

import contextlib
import csv
import io
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json import load
from pathlib import Path

from tests.bench.figures import Figure, by_name
from tests.bench.gateway import BenchFailedError, Gateway, Json
from tests.bench.processes import Watch, cpu_figure

ROWS = 10_000
WARM_UP_ROWS = 200
REPETITIONS = 3
RUN_SECONDS = 120.0
CONCURRENCY = 100
STOP_SECONDS = 5.0

Say = Callable[[str], None]


def cases(rows: int, answer: Callable[[str], str]) -> bytes:
    """A CSV of exact_match cases, each question of its own, as long as questions are."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["question", "expected_response", "test_method", "order"])
    for row in range(rows):
        question = f"Question {row}: how long is a ticket valid after it was bought at the counter?"
        writer.writerow([question, answer(question), "exact_match", row])
    return text.getvalue().encode()


@dataclass(frozen=True)
class Evaluations:
    """Makes test sets and runs them."""

    gateway: Gateway
    say: Say

    def context(self, name: str, **connection: object) -> Json:
        """A context that answers through a new connection."""
        made = self.gateway.create("/v1/connections", name=name, **connection)
        return self.gateway.create("/v1/contexts", name=name, connection_id=made["id"])

    def test_set(self, context: Json, name: str, mode: str = "independent") -> Json:
        """An empty set, whose cases stand alone unless the mode says otherwise."""
        return self.gateway.create("/v1/evaluation/test-sets", context_id=context["id"], name=name, mode=mode)

    def upload(self, test_set: Json, content: bytes) -> float:
        """Seconds that the upload took. Raises BenchFailedError if a row was refused."""
        began = time.monotonic()
        answer = self.gateway.upload(f"/v1/evaluation/test-sets/{test_set['id']}/upload-csv", content)
        if answer["error_count"]:
            raise BenchFailedError(f"the CSV was refused: {answer['errors'][0]}")
        return time.monotonic() - began

    def run(self, test_set: Json, context: Json, **wishes: object) -> tuple[float, Json]:
        """Seconds from the start to the run being read as completed, and the run."""
        began = time.monotonic()
        started = self.gateway.create("/v1/evaluation/runs", test_set_id=test_set["id"], context_id=context["id"], **wishes)
        run = self.gateway.completed(started["id"], RUN_SECONDS)
        return time.monotonic() - began, run

    def forget(self, test_set: Json) -> None:
        """Removes a set with its runs, and the context that it was made for with its connection."""
        self.gateway.delete(f"/v1/evaluation/test-sets/{test_set['id']}")
        context = self.gateway.get(f"/v1/contexts/{test_set['context_id']}")
        self.gateway.delete(f"/v1/contexts/{context['id']}")
        self.gateway.delete(f"/v1/connections/{context['connection_id']}")


def echo_set(bench: Evaluations, rows: int) -> tuple[Json, Json, float]:
    """The context that echoes, a set that it passes, and the seconds that its upload took."""
    context = bench.context("bench echo", kind="builtin", model="echo")
    test_set = bench.test_set(context, "bench echo")
    return context, test_set, bench.upload(test_set, cases(rows, lambda question: question))


def csv_upload(bench: Evaluations) -> Iterator[Figure]:
    """(c): 10,000 rows, several times."""
    seconds = []
    for _ in range(REPETITIONS):
        _, test_set, took = echo_set(bench, ROWS)
        seconds.append(took)
        bench.say(f"    {took:.2f} s")
        bench.forget(test_set)
    note = f"median of {_listed(seconds)} s"
    yield Figure("c", f"CSV of {ROWS:,} rows uploaded", f"{_median(seconds):.2f} s", "≤ 2 s", note)


def echo_runs(bench: Evaluations, pid_file: Path) -> Iterator[Figure]:
    """(a): 10,000 cases that a builtin target echoes."""
    context, small, _ = echo_set(bench, WARM_UP_ROWS)
    bench.run(small, context)
    bench.forget(small)
    context, test_set, _ = echo_set(bench, ROWS)
    seconds = []
    with Watch(pid_file) as watch:
        for _ in range(REPETITIONS):
            took, run = bench.run(test_set, context)
            seconds.append(took)
            bench.say(f"    {took:.2f} s, {run['passed_cases']} of {run['total_cases']} passed")
        cost = list(costs("a", watch, REPETITIONS * ROWS))
    bench.forget(test_set)
    rate = ROWS / _median(seconds)
    note = f"median of {_listed(seconds)} s, from the start's request to reading `completed`"
    yield Figure("a", f"{ROWS:,} cases, echo, exact_match", f"{rate:,.0f} cases/s", "4,000, at least 2,000", note)
    yield from cost


def costs(case: str, watch: Watch, cases_run: int) -> Iterator[Figure]:
    """The memory that the processes took at most, and the CPU that one case took."""
    peaks = watch.peaks
    runner = max((peak for name, peak in peaks.items() if name.startswith("runner")), default=0.0)
    yield Figure(case, "peak memory of a runner", f"{runner:.0f} MB", "≤ 250 MB", by_name(peaks, "MB"))
    yield cpu_figure(case, "CPU of a case", watch, cases_run)


def endpoint_runs(bench: Evaluations, pid_file: Path) -> Iterator[Figure]:
    """(b): 20,000 cases against an endpoint that takes 50 ms, 100 at a time."""
    with endpoint() as url:
        context = bench.context("bench endpoint", kind="openai", base_url=f"{url}/v1", model="bench", max_concurrency=CONCURRENCY)
        test_set = bench.test_set(context, "bench endpoint")
        for _ in range(2):
            bench.upload(test_set, cases(ROWS, lambda _: "ok"))
        with Watch(pid_file) as watch:
            took, run = bench.run(test_set, context)
            cost = list(costs("b", watch, run["total_cases"]))
        stats = told_by(url)
        bench.say(f"    {took:.2f} s, {run['passed_cases']} of {run['total_cases']} passed")
        bench.forget(test_set)
    total = run["total_cases"]
    note = (
        f"in {took:.1f} s; the ideal is {CONCURRENCY / 0.05:,.0f}; at most {stats['most_at_once']} calls at once, {stats['calls']:,} in all"
    )
    yield Figure("b", f"{total:,} cases, HTTP, 50 ms, {CONCURRENCY} at once", f"{total / took:,.0f} cases/s", "≥ 1,000", note)
    yield Figure("b", "CPU of the mock itself", f"{stats['cpu_seconds']:.1f} s", "", "on the same cores")
    yield from cost


@contextlib.contextmanager
def endpoint(delay_seconds: float = 0.05, answer: str = "ok", spread: float = 0.0) -> Iterator[str]:
    """The URL of a mock endpoint in a process of its own, which answers in this Manner."""
    command = [sys.executable, "-m", "tests.bench.mock_endpoint", str(delay_seconds), answer, str(spread)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as mock:
        try:
            yield f"http://127.0.0.1:{int(mock.stdout.readline()) if mock.stdout else 0}"
        finally:
            if mock.stdin:
                mock.stdin.close()
            mock.wait(STOP_SECONDS)


def told_by(url: str) -> Json:
    """What a mock endpoint saw."""
    with urllib.request.urlopen(f"{url}/stats", timeout=STOP_SECONDS) as response:  # noqa: S310 - our own loopback URL
        stats: Json = load(response)
        return stats


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
