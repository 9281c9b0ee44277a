"""Which loopback ports are taken, and which are still to be had."""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
import time
from collections.abc import Container, Iterator
from pathlib import Path

GIVEN_SECONDS = 120.0


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now, ended connections of a former server aside."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
        return True


def any_free(taken: Container[int] = ()) -> int:
    """A free port that is not in `taken`, from below those that the kernel gives to outgoing connections.

    A server that is killed must get its port back; were it one of the kernel's, any client's connection might have it by then.
    Stacks that start at the same time look at the same free ports, so what one was given no other gets for two minutes.
    """
    last = _first_outgoing()
    candidates = (random.randrange(15_000, last) for _ in range(1_000_000))  # noqa: S311 spreads, guards nothing
    with _given() as given:
        port = next(port for port in candidates if port not in taken and port not in given and is_free(port))
        given[port] = time.time()
    return port


@contextlib.contextmanager
def _given() -> Iterator[dict[int, float]]:
    """Port -> when it was given to a process of ours, of the last two minutes; one process at a time looks at it."""
    path = Path(tempfile.gettempdir()) / f"assay-ports-{os.geteuid()}"
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = (line.split() for line in file if line.count(" ") == 1)
        given = {int(port): float(when) for port, when in lines if time.time() - float(when) < GIVEN_SECONDS}
        yield given
        file.seek(0)
        file.truncate()
        file.writelines(f"{port} {when}\n" for port, when in given.items())


def _first_outgoing() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        first = 32_768
    # A kernel told to use nearly all ports leaves no room below; then there is nothing better than its own range.
    return first if first > 16_000 else 60_000  # noqa: PLR2004 - see above


def choose(preferred: int | None, taken: Container[int]) -> int:
    """`preferred` where it is free and not in `taken`, else any free one."""
    if preferred and preferred not in taken and is_free(preferred):
        return preferred
    return any_free(taken)
