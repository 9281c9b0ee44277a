"""Case (d): reads through the gateway, each authenticated and each answered from the database."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.evaluations import Evaluations, echo_set
from tests.bench.figures import Figure, quantile
from tests.bench.gateway import BenchFailedError, Gateway
from tests.bench.processes import Watch, cpu_figure

READERS, SECONDS = 16, 4.0
ALONE_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
ROWS = 500


@dataclass(frozen=True)
class Load:
    """What some readers saw: seconds of each answer in ascending order, how many were refused, and their own CPU time.

    `answered` counts those before the readers were warm too.
    """

    seconds: list[float]
    answered: int
    refused: int
    cpu_seconds: float


def rest_reads(bench: Evaluations, pid_file: Path) -> Iterator[Figure]:
    """A run, a test set, a page of cases."""
    context, test_set, _ = echo_set(bench, ROWS)
    _, run = bench.run(test_set, context)
    paths = {
        "GET a run": f"/v1/evaluation/runs/{run['id']}",
        "GET a test set": f"/v1/evaluation/test-sets/{test_set['id']}",
        "GET a page of 20 cases": f"/v1/evaluation/test-sets/{test_set['id']}/cases",
    }
    for what, path in paths.items():
        alone = _read(bench.gateway, path, 1, ALONE_SECONDS)
        with Watch(pid_file) as watch:
            crowd = _read(bench.gateway, path, READERS, SECONDS)
            cost = cpu_figure("d", "CPU of a read", watch, crowd.answered)
        yield _figure(what, alone, crowd)
        yield cost
    bench.forget(test_set)


def _figure(what: str, alone: Load, crowd: Load) -> Figure:
    times = f"p50 {_ms(crowd, 0.5)}, p99 {_ms(crowd, 0.99)} ms; alone p50 {_ms(alone, 0.5)}, p99 {_ms(alone, 0.99)} ms"
    refused = alone.refused + crowd.refused
    note = f"{times}; client {crowd.cpu_seconds / SECONDS:.0%} of a core" + f"; {refused} refused" * bool(refused)
    return Figure("d", f"{what}, {READERS} readers", f"{len(crowd.seconds) / SECONDS:,.0f} rps", "≥ 1,000 rps", note)


def _ms(load: Load, share: float) -> str:
    return f"{quantile(load.seconds, share) * 1000:.1f}"


def _read(gateway: Gateway, path: str, readers: int, seconds: float) -> Load:
    command = [sys.executable, "-m", "tests.bench.load", str(gateway.address.port), path, str(readers), str(seconds)]
    environment = {**os.environ, "ASSAY_TOKEN": gateway.env["ASSAY_TOKEN"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    if done.returncode:
        raise BenchFailedError(f"the readers ended with {done.returncode}: {done.stderr[-300:]}")
    load = Load(**json.loads(done.stdout))
    if not load.seconds:
        raise BenchFailedError(f"GET {path} was never answered")
    return load
