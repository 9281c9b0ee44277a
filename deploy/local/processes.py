"""Finding and ending the processes of one stack without its supervisor's help, by the marks that they carry."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUPERVISOR = "supervisord"


@dataclass(frozen=True)
class Found:
    """A running process of the stack; its name is the one in the pid file, or what stands for it."""

    pid: int
    name: str


def find(directory: Path, postgres_data: Path) -> list[Found]:
    """Every process whose environment names this stack, and Postgres's children, which only their folder tells."""
    return [Found(pid, name) for pid, name in _marked(directory, postgres_data) if pid != os.getpid()]


def _marked(directory: Path, postgres_data: Path) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            environment = dict(pair.partition(b"=")[::2] for pair in (folder / "environ").read_bytes().split(b"\0"))
            cwd = (folder / "cwd").readlink()
        except OSError:  # ended meanwhile, a zombie, or somebody else's
            continue
        if environment.get(b"ASSAY_STACK") == os.fsencode(directory):
            yield int(folder.name), environment.get(b"ASSAY_PROCESS", b"").decode()
        elif cwd == postgres_data:
            yield int(folder.name), "postgres child"


def end_all(directory: Path, postgres_data: Path) -> list[Found]:
    """Ends every process of the stack in good order, the stubborn ones by force, and returns those that were found."""
    all_found = find(directory, postgres_data)
    # The supervisor first: it would start again what is ended below. It takes the others with it where it can.
    _end(all_found, signal.SIGTERM, 60, lambda found: found.name == SUPERVISOR)
    _end(all_found, signal.SIGKILL, 5, lambda found: found.name == SUPERVISOR)
    _end(all_found, signal.SIGTERM, 20, lambda found: found.name not in {SUPERVISOR, "nats", "postgres", "postgres child"})
    _end(all_found, signal.SIGTERM, 10, lambda found: found.name == "nats")
    _end(all_found, signal.SIGINT, 30, lambda found: found.name == "postgres")
    for _ in range(3):
        # Whatever was started while we looked.
        _end(find(directory, postgres_data), signal.SIGKILL, 5, lambda _: True)
    return all_found


def _end(all_found: Sequence[Found], with_signal: signal.Signals, seconds: float, chosen: Callable[[Found], bool]) -> None:
    pids = [found.pid for found in all_found if chosen(found) and is_alive(found.pid)]
    for pid in pids:
        try:
            os.kill(pid, with_signal)
        except ProcessLookupError:
            continue
    wait_gone(pids, seconds)


def wait_gone(pids: Sequence[int], seconds: float) -> bool:
    """Whether all of these have ended within that time."""
    deadline = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and whose parent has not asked yet does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}
