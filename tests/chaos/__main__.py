"""`python -m tests.chaos [--only a,b] [--rounds N]`: hurts a stack, prints what became of it; 1 if an aim was missed."""

import argparse
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploy.local.stack import StackFailedError
from tests.bench.figures import Figure
from tests.chaos import killing, outages, pausing, streams
from tests.chaos.reports import Report
from tests.chaos.site import Site


@dataclass(frozen=True)
class Check:
    """What is done, on a stack with this lease."""

    lease: float
    hurt: Callable[[Site], list[Figure]]


def main() -> int:
    """Runs what was asked for."""
    wanted = _arguments()
    report = Report(wanted.seed)
    figures: list[Figure] = []
    for name, check in _checks(wanted).items():
        if not wanted.only or name in wanted.only.split(","):
            figures += _carried_out(report, name, check)
    return report.end(figures)


def _checks(wanted: argparse.Namespace) -> Mapping[str, Check]:
    def rounds(usual: int) -> int:
        return int(wanted.rounds or usual)

    return {
        "kills": Check(killing.LEASE, lambda site: killing.kills(site, rounds(200))),
        "wipes": Check(killing.LEASE, lambda site: killing.wipes(site, rounds(20))),
        "pauses": Check(pausing.LEASE, lambda site: pausing.pauses(site, rounds(100))),
        "outages": Check(outages.LEASE, lambda site: outages.outages(site, wanted.minutes)),
        "streams": Check(streams.LEASE, lambda site: streams.idle_streams(site, wanted.streams)),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", default="", metavar="a,b,…", help="of kills, wipes, pauses, outages, streams; all without it")
    parser.add_argument("--rounds", type=int, default=0, help="kills, wipes and restores, or pauses (200, 20 and 20, 100)")
    parser.add_argument("--minutes", type=float, default=30, help="of outages")
    parser.add_argument("--streams", type=int, default=2000, help="that are idle")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="decides what happens when; printed")
    return parser.parse_args()


def _carried_out(report: Report, name: str, check: Check) -> Sequence[Figure]:
    """A check's figures; one that could not be carried out is a missed aim, and the others go on."""
    try:
        with report.site(name, check.lease) as site:
            figures = _hurt(site, name, check)
            report.keep_logs(site.stack, figures)
    except StackFailedError as fault:
        figures = [_failed(name, fault)]
    return figures


def _hurt(site: Site, name: str, check: Check) -> list[Figure]:
    try:
        return check.hurt(site)
    except Exception as fault:  # noqa: BLE001 whatever it is, the other checks go on
        return [_failed(name, fault)]


def _failed(name: str, fault: Exception) -> Figure:
    return Figure(name, "carried out", "FAILED", "whole", f"{type(fault).__name__}: {fault}"[:500])


if __name__ == "__main__":
    sys.exit(main())
