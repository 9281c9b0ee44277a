"""Case (f): a project's test run over 10,000 cases, which a client executes and records over 32 connections."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.evaluations import Evaluations, costs
from tests.bench.figures import Figure
from tests.bench.gateway import BenchFailedError, Gateway, Json
from tests.bench.processes import Watch

CASES, CONNECTIONS = 10_000, 32
PATIENCE_SECONDS = 300.0
POLL_SECONDS = 0.05
OUTPUT = "It is valid for 24 hours after it was bought at the counter, on every line of zone {}."
QUESTION = "How long is a ticket valid after it was bought at the counter?"


@dataclass(frozen=True)
class Recorded:
    """What the client saw: seconds that half of the recordings and 99 % took at most, and all; its own CPU time; when it was done."""

    p50: float
    p99: float
    took: float
    cpu_seconds: float
    ended_at: float


@dataclass(frozen=True)
class Project:
    """Makes datasets and runs them."""

    gateway: Gateway
    path: str

    def dataset(self, cases: int) -> tuple[Json, float]:
        """A dataset, and the seconds that its cases took to be added."""
        dataset = self.gateway.create(f"{self.path}/prompt-datasets", name=f"bench {time.time_ns()}", input_names=["question", "zone"])
        data = [{"inputs": {"question": QUESTION, "zone": str(number)}, "output": OUTPUT.format(number)} for number in range(cases)]
        began = time.monotonic()
        self.gateway.create(f"{self.path}/prompt-datasets/{dataset['id']}/test-cases/bulk", data=data)
        return dataset, time.monotonic() - began

    def criterion(self) -> Json:
        """What the outputs are scored by."""
        mapping = {"output": "output", "expected": "case.expected_response"}
        return self.gateway.create(f"{self.path}/evaluation-criteria", name=f"bench {time.time_ns()}", template="equals", mapping=mapping)

    def start(self, dataset: Json, criterion: Json) -> tuple[Json, float]:
        """A run with its cases, and the seconds that it took to be answered."""
        began = time.monotonic()
        wanted = {"dataset_name": dataset["name"], "target_evaluation_ids": [criterion["id"]], "include_outputs": True}
        return self.gateway.create(f"{self.path}/test-runs", **wanted), time.monotonic() - began

    def record(self, run: Json) -> Recorded:
        """Every case, as the dataset wants it. Raises BenchFailedError if one was refused."""
        command = [sys.executable, "-m", "tests.bench.recorder", str(self.gateway.address.port)]
        command += [f"{self.path}/sessions/bench/completions", str(CONNECTIONS)]
        wanted = {"run_id": run["test_run_id"], "cases": [_answered(case) for case in run["test_cases"]]}
        environment = {**os.environ, "ASSAY_TOKEN": self.gateway.env["ASSAY_TOKEN"]}
        done = subprocess.run(
            command, input=json.dumps(wanted), env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        if done.returncode:
            raise BenchFailedError(f"the client ended with {done.returncode}: {done.stderr[-600:]}")
        return Recorded(**json.loads(done.stdout))

    def completed(self, run: Json) -> Json:
        """The run once it reads completed. Raises BenchFailedError if that takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := self.gateway.get(f"{self.path}/test-runs/id/{run['test_run_id']}"))["status"] != "completed":
            if time.monotonic() > deadline:
                raise BenchFailedError(f"the run was not completed: {found['summary_statistics']}")
            time.sleep(POLL_SECONDS)
        return found

    def forget(self, dataset: Json, criterion: Json) -> None:
        """Removes what was made, the runs too."""
        self.gateway.delete(f"{self.path}/prompt-datasets/{dataset['id']}")
        self.gateway.delete(f"{self.path}/evaluation-criteria/id/{criterion['id']}")


def _answered(case: Json) -> dict[str, Any]:
    return {"id": case["id"], "question": case["values"]["question"], "inputs": case["values"], "answer": case["output"]}


def recorded_run(bench: Evaluations, pid_file: Path) -> Iterator[Figure]:
    """From the cases' creation in bulk to the run being read as completed."""
    project = Project(bench.gateway, f"/api/v2/projects/{bench.gateway.env['ASSAY_PROJECT_ID']}")
    criterion = project.criterion()
    with Watch(pid_file) as watch:
        dataset, bulk = project.dataset(CASES)
        run, start = project.start(dataset, criterion)
        recorded = project.record(run)
        found = project.completed(run)
        wait = time.time() - recorded.ended_at
        cost = list(costs("f", watch, CASES))
    [tally] = found["summary_statistics"]["auto_evaluation"].values()
    bench.say(f"    created {bulk:.2f} s, run {start:.2f} s, recorded {recorded.took:.2f} s, completed {wait:.2f} s after that; {tally}")
    project.forget(dataset, criterion)
    if tally["passed"] != CASES:
        raise BenchFailedError(f"of {CASES:,} cases, all as they should be, {tally['passed']:,} passed")
    yield from _figures(bulk, start, recorded, wait)
    yield from cost


def _figures(bulk: float, start: float, recorded: Recorded, wait: float) -> Iterator[Figure]:
    yield Figure("f", f"{CASES:,} cases created in bulk", f"{bulk:.2f} s")
    yield Figure("f", "a run of them started, and answered with all", f"{start:.2f} s", "≤ 5 s with the above")
    note = f"p50 {recorded.p50 * 1000:.1f}, p99 {recorded.p99 * 1000:.1f} ms; in {recorded.took:.1f} s; client {recorded.cpu_seconds / recorded.took:.0%} of a core"
    yield Figure("f", f"recordings over {CONNECTIONS} connections", f"{CASES / recorded.took:,.0f} /s", "≥ 400 /s", note)
    yield Figure("f", "from the last recording to reading `completed`", f"{wait:.2f} s")
