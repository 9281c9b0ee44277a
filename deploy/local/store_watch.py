"""Notices that JetStream's folder was removed under a running NATS.

NATS itself doesn't: it goes on saying that it is healthy, refuses every message because its files are gone, and stays so
until it is started again. Somebody who kills it and removes the store meets exactly that, since it is back before him.
"""

import contextlib
import glob
from dataclasses import dataclass, field
from pathlib import Path

# By then a server that lives has made its folder.
SURELY_MADE_SECONDS = 1.0


@dataclass
class StoreWatch:
    """Remembers which folders one run of the server has been seen with."""

    store: Path
    _seen: frozenset[tuple[str, int]] = field(default_factory=frozenset)

    def forget(self) -> None:
        """To be called when the server starts: it may have another store than the run before."""
        self._seen = frozenset()

    def is_lost(self, running_seconds: float) -> bool:
        """Whether folders that the server uses are gone, or others stand in their place."""
        present = folders_of(self.store)
        lost = bool(self._seen - present) or (not present and running_seconds > SURELY_MADE_SECONDS)
        self._seen |= present
        return lost


def folders_of(store: Path) -> frozenset[tuple[str, int]]:
    """Path and inode of JetStream's folder and of each stream's folder of messages."""
    present = set()
    # glob.glob, not Path.glob: that one raises when a folder goes while it looks, and would take the supervisor with it.
    for path in [str(store / "jetstream"), *glob.glob(f"{glob.escape(str(store))}/jetstream/*/streams/*/msgs")]:  # noqa: PTH207
        with contextlib.suppress(FileNotFoundError):
            present.add((path, Path(path).stat().st_ino))
    return frozenset(present)
