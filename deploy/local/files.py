"""The folder that one embedded stack keeps its state in, and how its files are written."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRIVATE = 0o600
# A Unix socket's path is limited to 107 bytes; Postgres adds ".s.PGSQL.65535.lock", supervisord its pid.
LONGEST_SOCKET_FOLDER = 80


@dataclass(frozen=True)
class Folders:
    """Where things are, from the folder that ASSAY_LOCAL_DIR or the default names."""

    root: Path

    @property
    def run(self) -> Path:
        """Configurations made anew at every start; some hold passwords."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.root / "logs"

    @property
    def nats_store(self) -> Path:
        """JetStream's folder; it may be removed while NATS is stopped."""
        return self.root / "nats"

    @property
    def pids(self) -> Path:
        """Process name -> pid, kept by the supervisor."""
        return self.root / "pids.json"

    @property
    def env(self) -> Path:
        """What a shell sources."""
        return self.root / "env"

    @property
    def state(self) -> Path:
        """The ports, and the sockets' folder, of the last start."""
        return self.root / "state.json"

    @property
    def secrets(self) -> Path:
        """Keys and passwords, made once."""
        return self.root / "secrets.json"

    @property
    def credentials(self) -> Path:
        """What the first workspace's bootstrap printed."""
        return self.root / "credentials.json"

    def make(self) -> None:
        """Makes the folders, closed to other accounts where they hold secrets."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(mode=0o700, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self.logs / f"{name}.log"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty where the file is missing."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return document


def write_json(path: Path, document: object) -> None:
    """Writes JSON that only we may read; see `write_text`."""
    write_text(path, json.dumps(document, indent=2) + "\n")


def write_text(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Replaces a file at once: a reader sees the old text or the new one, and a crash leaves one of them."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(temporary).chmod(mode)
    Path(temporary).replace(path)


def socket_folder(folders: Folders, remembered: str | None) -> Path:
    """A folder of ours whose path is short enough for sockets: run/ itself, else a temporary one, the remembered where it is still there."""
    if len(os.fsencode(folders.run)) <= LONGEST_SOCKET_FOLDER:
        return folders.run
    if remembered and _is_ours(Path(remembered)):
        return Path(remembered)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = len(runtime) < LONGEST_SOCKET_FOLDER // 2 and os.access(runtime, os.W_OK)
    return Path(tempfile.mkdtemp(prefix="assay-", dir=runtime if runtime and usable else "/tmp"))  # noqa: S108 - mkdtemp, 0700, and short


def _is_ours(folder: Path) -> bool:
    # lstat: in a folder that others may write to, a link could lead anywhere.
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return folder.is_dir() and not folder.is_symlink() and status.st_uid == os.geteuid() and status.st_mode & 0o077 == 0


def forget_socket_folder(folders: Folders, remembered: str | None) -> None:
    """Removes the temporary folder of the sockets, where there was one."""
    if remembered and Path(remembered) != folders.run and _is_ours(Path(remembered)):
        shutil.rmtree(remembered, ignore_errors=True)
