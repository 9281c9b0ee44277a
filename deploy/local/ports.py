"""Which loopback ports are taken, and which are still to be had."""

import socket
from collections.abc import Container


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
    """A free port that the kernel names and that is not in `taken`."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port


def choose(preferred: int | None, taken: Container[int]) -> int:
    """`preferred` where it is free and not in `taken`, else any free one."""
    if preferred and preferred not in taken and is_free(preferred):
        return preferred
    return any_free(taken)
