"""Memory and CPU of the stack's processes, from /proc."""

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.bench.figures import Figure, by_name

PROC = Path("/proc")
SAMPLE_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")
# A share of the CPU that is not worth a line.
LITTLE = 0.02
# Written to clear_refs, it starts VmHWM anew: see proc(5).
RESET_PEAK = "5"
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def named(pid_file: Path) -> dict[str, int]:
    """Process name -> pid, as the stack keeps it."""
    pids: dict[str, int] = json.loads(pid_file.read_text())
    return pids


class Watch:
    """What the processes use while the block lasts.

    Memory is each process's own peak (VmHWM); of Postgres, whose processes share most of theirs, the largest sum of the
    proportional sizes (PSS) of all of them, sampled every second.
    """

    def __init__(self, pid_file: Path) -> None:
        self._pids = named(pid_file)
        self._postgres_peak = 0.0
        self._cpu: dict[str, float] = {}
        self._busy = 0.0
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    @property
    def peaks(self) -> dict[str, float]:
        """Process name -> MB."""
        found = {name: _field(pid, "status", "VmHWM") for name, pid in self._pids.items() if name != "postgres"}
        return {**found, "postgres": self._postgres_peak}

    @property
    def cpu(self) -> dict[str, float]:
        """Process name -> CPU seconds since the block began."""
        return {name: seconds - self._cpu.get(name, 0.0) for name, seconds in cpu_seconds(self._pids).items()}

    @property
    def others(self) -> float:
        """CPU seconds since the block began that went to everything but the stack: the bench, its mock, and whatever else runs here."""
        return max(0.0, busy_seconds() - self._busy - sum(self.cpu.values()))

    def _sample(self) -> None:
        while True:
            self._postgres_peak = max(self._postgres_peak, _pss(_tree(self._pids["postgres"])))
            if self._stop.wait(SAMPLE_SECONDS):
                return

    def __enter__(self) -> Self:
        for pid in self._pids.values():
            with contextlib.suppress(*GONE):
                (PROC / str(pid) / "clear_refs").write_text(RESET_PEAK)
        self._cpu, self._busy = cpu_seconds(self._pids), busy_seconds()
        self._sampler.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._sampler.join()


def cpu_figure(case: str, what: str, watch: Watch, count: int) -> Figure:
    """What one of `count` things that were done since the watch began has cost; it depends less on the neighbours than times do."""
    each = {name: seconds * 1000 / count for name, seconds in watch.cpu.items()}
    most = sum(each.values())
    shown = {name: value for name, value in each.items() if value >= most * LITTLE}
    note = f"{by_name(shown, 'ms', 2)}; everything else on the machine took {watch.others:.1f} s of CPU"
    return Figure(case, what, f"{most:.2f} ms", note=note)


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Process name -> CPU seconds since it was started; of Postgres with its sessions, those that have ended too."""
    return {name: sum(map(_cpu_seconds, _tree(pid) if name == "postgres" else (pid,))) for name, pid in pids.items()}


def memory(name: str, pid: int) -> float:
    """MB that a process has now; of Postgres what its processes have beside the buffers that they share and fill."""
    return sum(_field(each, "smaps_rollup", "Pss_Anon") for each in _tree(pid)) if name == "postgres" else _field(pid, "status", "VmRSS")


def _tree(pid: int) -> list[int]:
    """The process and all below it; sessions of Postgres come and go, and what is gone is left out."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return []


def _pss(pids: Iterable[int]) -> float:
    return sum(_field(pid, "smaps_rollup", "Pss") for pid in pids)


def _field(pid: int, file: str, name: str) -> float:
    """A field that is given in kB, in MB; 0 of a process that is gone."""
    return next((int(line.split()[1]) / 1024 for line in _lines(pid, file) if line.startswith(f"{name}:")), 0.0)


def _lines(pid: int, file: str) -> Iterator[str]:
    with contextlib.suppress(*GONE):
        yield from (PROC / str(pid) / file).read_text().splitlines()


def _cpu_seconds(pid: int) -> float:
    for line in _lines(pid, "stat"):
        # The name in parentheses may hold spaces.
        fields = line.rpartition(")")[2].split()
        # Its own, then that of its children that have ended: Postgres's autovacuum works in some that come and go.
        return sum(map(int, fields[11:15])) / TICKS
    return 0.0


def busy_seconds() -> float:
    """CPU seconds that all cores together have spent on anything since they were started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
