"""What the supervisor runs: one shell script per process that sets its environment and becomes it, and the configuration that lists them.

The scripts keep passwords out of argument lists and out of the supervisor's configuration, and each can be run by hand.
"""

import hashlib
import resource
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from deploy.local import binaries
from deploy.local.files import Folders

MOST_FILES = 65_536


@dataclass(frozen=True)
class Program:
    """A process that the supervisor keeps running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    fingerprint: str = ""
    """What it reads beside its command and environment; when that changes it is restarted."""


def script(program: Program, directory: Path) -> str:
    """The shell script that becomes the program. ASSAY_STACK tells later whose process it is."""
    marks = {"ASSAY_STACK": str(directory), "ASSAY_PROCESS": program.name}
    exports = [f"export {name}={shlex.quote(value)}" for name, value in {**program.environment, **marks}.items()]
    # Thousands of idle event streams are thousands of open files.
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard_limit == resource.RLIM_INFINITY else min(MOST_FILES, hard_limit)
    lines = [
        "#!/bin/sh",
        f"ulimit -S -n {most}",
        *exports,
        f"cd {shlex.quote(str(binaries.ROOT))} || exit 1",
        f"exec {shlex.join(program.command)}",
    ]
    return "\n".join(lines) + "\n"


def told(name: str, folders: Folders) -> dict[str, str]:
    """The environment that a program's script sets, as of the last start. Empty before the first."""
    try:
        words = shlex.split(script_path(name, folders).read_text(), comments=True)
    except FileNotFoundError:
        return {}
    return dict(word.partition("=")[::2] for before, word in pairwise(words) if before == "export")


def supervisor_config(programs: Sequence[Program], folders: Folders, socket: Path) -> str:
    """Supervisord's configuration. It changes whenever a program must be restarted to be up to date."""
    head = f"""[supervisord]
nodaemon = true
minfds = 256
silent = true
logfile = {_escaped(folders.log("supervisord"))}
logfile_maxbytes = 10MB
logfile_backups = 1
pidfile = {_escaped(folders.run / "supervisord.pid")}
childlogdir = {_escaped(folders.logs)}
nocleanup = true

[unix_http_server]
file = {_escaped(socket)}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
    return "\n".join([head, *(_section(program, folders) for program in programs)])


def _section(program: Program, folders: Folders) -> str:
    # Nobody but `make up` starts the first time, in its order; after that whatever ends is started again, for ever.
    return f"""[program:{program.name}]
command = /bin/sh {_quoted(script_path(program.name, folders))} {_digest(program, folders)}
autostart = false
autorestart = true
startsecs = 1
startretries = 1000000000
stopsignal = {program.stop_signal}
stopwaitsecs = {program.stop_seconds}
redirect_stderr = true
stdout_logfile = {_escaped(folders.log(program.name))}
stdout_logfile_maxbytes = 50MB
stdout_logfile_backups = 1
"""


def script_path(name: str, folders: Folders) -> Path:
    """Where the script of a program is."""
    return folders.run / f"{name}.sh"


def _digest(program: Program, folders: Folders) -> str:
    return hashlib.sha256((script(program, folders.root) + program.fingerprint).encode()).hexdigest()[:12]


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")


def _quoted(value: object) -> str:
    return _escaped(shlex.quote(str(value)))


def python_module(name: str) -> list[str]:
    """The command that runs a module of ours. PYTHONPATH finds it."""
    return [sys.executable, "-m", name]


def source_fingerprint(*places: Path) -> str:
    """Changes when a source file under one of these folders, or one of these files, does."""
    digest = hashlib.sha256()
    for place in places:
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in files:
            if file.suffix in {".py", ".yaml", ".json", ".pb", ".md", ".sql", ".lua", ".html"} and file.is_file():
                digest.update(str(file).encode() + file.read_bytes())
    return digest.hexdigest()
