"""What part of the work each process of a stack has done, by the counters that it exposes."""

import urllib.request
from collections.abc import Mapping

EXECUTED, SCORED = "assay_cases_executed_total", "assay_cases_scored_total"


def count(ports: Mapping[str, int], name: str) -> dict[str, float]:
    """A counter of every process that has it, by the process's name; `ports` are those of a stack."""
    found: dict[str, float] = {}
    for process, port in ports.items():
        if process.endswith("-metrics"):
            found |= {process.removesuffix("-metrics"): value for value in _values(port, name)}
    return found


def _values(port: int, name: str) -> list[float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:  # it was stopped
        return []
    return [float(line.split()[1]) for line in lines if line.startswith(f"{name} ")]


def shares(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What part of the growth fell to each."""
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    return {name: each / sum(grown.values()) for name, each in grown.items()}
