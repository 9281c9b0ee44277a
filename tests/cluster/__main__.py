"""`python -m tests.cluster --images TAG`: runs the built images as the chart says, harms them, prints a table; 1 if an aim was missed."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from tests.bench.figures import Figure, missed, show
from tests.cluster import checks, installation
from tests.cluster.chart import NotRenderedError, render
from tests.cluster.checks import Rounds, Site
from tests.cluster.clients import RefusedError
from tests.cluster.containers import ContainerFailedError
from tests.cluster.installation import Images

WIDTH = 160
CHECKS = ("demo", "leader", "rolling", "migration", "oracle")


def main() -> int:
    """Runs what was asked for; 1 if an aim was missed or it could not be run."""
    wanted = _arguments()
    console = Console(markup=False, highlight=False, emoji=False, width=WIDTH)
    if missing := [name for name in ("podman", "runc") if not shutil.which(name)]:
        console.print(f"not installed: {', '.join(missing)}")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="assay-cluster-"))
    try:
        figures = asyncio.run(_checked(wanted, folder, partial(_say, console, time.monotonic())))
    except (ContainerFailedError, NotRenderedError) as fault:
        console.print(str(fault))
        return 1
    show(console, figures)
    any_missed = missed(console, figures)
    console.print(f"logs: {folder}")
    return int(any_missed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--service", default="assay-service:latest", help="image of the services")
    parser.add_argument("--gateway", default="assay-gateway:latest", help="image of the gateway")
    parser.add_argument("--helm", default="", help="path of helm, if it isn't on PATH")
    parser.add_argument("--rounds", type=int, default=20, help="of restarts")
    parser.add_argument("--minutes", type=float, default=30, help="after which no further round is begun")
    parser.add_argument("--only", default="", metavar="a,b,…", help=f"of {', '.join(CHECKS)}")
    return parser.parse_args()


async def _checked(wanted: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> list[Figure]:
    say("rendering the chart")
    manifests = render(wanted.helm)
    names = wanted.only.split(",") if wanted.only else CHECKS
    began = time.monotonic()
    with installation.running(folder, Images(wanted.service, wanted.gateway), manifests) as running:
        say("everything serves")
        site = Site(running, say)
        figures = [Figure("start", "until a request was answered", f"{time.monotonic() - began:.1f} s")]
        try:
            figures += await _all(site, names, Rounds(wanted.rounds, wanted.minutes))
        finally:
            _keep_logs(running)
        return figures


async def _all(site: Site, names: Sequence[str], rounds: Rounds) -> list[Figure]:
    known: dict[str, Callable[[Site], Awaitable[list[Figure]]]] = {
        "demo": checks.demo,
        "leader": checks.leader_killed,
        "rolling": partial(checks.rolling_restarts, wanted=rounds),
        "migration": checks.migration,
        "oracle": checks.nothing_wrong,
    }
    figures: list[Figure] = []
    for name in names:
        site.say(name)
        try:
            new = await known[name](site)
        except (ContainerFailedError, RefusedError) as fault:
            new = [Figure(name, "carried out", "FAILED", "whole", str(fault))]
        for figure in new:
            site.say(f"  {figure.what}: {figure.measured} {figure.note}")
        figures += new
    return figures


def _keep_logs(running: installation.Installation) -> None:
    for container in (*(each.container for each in running.instances), running.gateway):
        (running.folder / f"{container.name}.log").write_text(container.log())


def _say(console: Console, began: float, line: str) -> None:
    console.print(f"{time.monotonic() - began:6.1f} s  {line}")


if __name__ == "__main__":
    sys.exit(main())
