"""Which loopback ports are taken, and which are still to be had."""

import random
import socket
from collections.abc import Container
from pathlib import Path


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
    """
    candidates = list(range(15_000, _first_outgoing()))
    random.shuffle(candidates)
    return next(port for port in candidates if port not in taken and is_free(port))


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
