"""`python -m tests.bench [--only a,b] [--running]`: measures, prints a table, and leaves nothing behind."""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import asyncpg
from rich.console import Console

from deploy.local import ports
from deploy.local.settings import PREFERRED_PORTS, default_directory, read_settings
from deploy.local.stack import Stack
from tests.bench.evaluations import Evaluations, csv_upload, echo_runs, endpoint_runs
from tests.bench.figures import Figure, show
from tests.bench.gateway import BenchFailedError, Gateway
from tests.bench.million import last_page
from tests.bench.reads import rest_reads
from tests.bench.recordings import recorded_run
from tests.bench.scaling import cost_of_a_case
from tests.bench.sharing import shared_runs
from tests.stacks import temporary_stack

WIDTH = 140

Measure = Callable[[Evaluations], Iterator[Figure]]


def _measures(pids: Path) -> Mapping[str, tuple[str, Measure]]:
    return {
        "a": ("10,000 cases, echo", partial(echo_runs, pid_file=pids)),
        "b": ("20,000 cases, an HTTP endpoint that takes 50 ms", partial(endpoint_runs, pid_file=pids)),
        "c": ("CSV of 10,000 rows", csv_upload),
        "d": ("REST reads", partial(rest_reads, pid_file=pids)),
        "e": ("a run with 1,000,000 results", last_page),
        "f": ("10,000 cases that a client records", partial(recorded_run, pid_file=pids)),
        "g": ("one run shared by two runners and two scorers", shared_runs),
        "h": ("what a case costs, for deploy/SCALING.md", cost_of_a_case),
    }


def main() -> int:
    """Measures what was asked for; 1 if some of it could not be measured."""
    arguments = _arguments()
    console = Console(markup=False, highlight=False, emoji=False, width=WIDTH)
    wanted = [name for name in _measures(Path()) if not arguments.only or name in arguments.only.split(",")]
    with _stack(console, running=arguments.running) as env:
        figures, failed = _measure(console, env, wanted)
    show(console, figures)
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="a,b,…", help="the cases to measure: a to h; all without it")
    parser.add_argument("--running", action="store_true", help="measure the stack of `make up` instead of one of its own")
    return parser.parse_args()


def _measure(console: Console, env: Mapping[str, str], wanted: list[str]) -> tuple[list[Figure], bool]:
    """The figures, and whether any are missing because their case failed."""
    figures: list[Figure] = []
    failed = False
    bench = Evaluations(Gateway(env), lambda line: console.print(line, soft_wrap=True))
    for name in wanted:
        title, measure = _measures(Path(env["ASSAY_PIDS"]))[name]
        console.print(f"({name}) {title} ...")
        try:
            figures += measure(bench)
        except (BenchFailedError, asyncpg.PostgresError, subprocess.SubprocessError, OSError) as failure:
            console.print(f"    {failure}", soft_wrap=True)
            figures.append(Figure(name, title, "-", note=f"failed: {failure}"))
            failed = True
    return figures, failed


@contextlib.contextmanager
def _stack(console: Console, *, running: bool) -> Iterator[Mapping[str, str]]:
    """What the stack exports; one of its own is stopped and removed afterwards."""
    if running:
        yield Stack(default_directory()).env()
        return
    # Any ports: the usual ones are for the stack that somebody may start meanwhile.
    settings = read_settings()
    settings = replace(settings, ports={**settings.ports, **{name: ports.any_free() for name in PREFERRED_PORTS}})
    workers = f"{settings.runners} runner and {settings.scorers} scorer"
    console.print(f"A stack of its own with {workers} on {os.cpu_count()} cores ...")
    with temporary_stack(settings, "assay-bench-") as stack:
        yield stack.env()


if __name__ == "__main__":
    sys.exit(main())
