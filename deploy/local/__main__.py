"""The embedded stack from the command line: `python -m deploy.local {up,down,status,logs,restart,admin}`."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from deploy.local import plan
from deploy.local.credentials import BootstrapFailedError
from deploy.local.environment import inherited_environment, python_environment
from deploy.local.migrate import MigrationFailedError
from deploy.local.plan import GatewayNotRenderedError
from deploy.local.postgres import PostgresFailedError
from deploy.local.programs import told
from deploy.local.settings import InvalidSettingsError, default_directory, read_settings
from deploy.local.stack import Stack, StackFailedError
from deploy.local.supervision import SupervisorFailedError

FAILURES = (
    BootstrapFailedError,
    GatewayNotRenderedError,
    InvalidSettingsError,
    MigrationFailedError,
    PostgresFailedError,
    StackFailedError,
    SupervisorFailedError,
)


# supervisord calls the first second after a start STARTING.
RUNNING = frozenset({"RUNNING", "STARTING"})


DOWN = "The stack is down; make up."
# By these `down` finds what belongs to the stack; a command that a person runs does not.
MARKS = frozenset({"ASSAY_STACK", "ASSAY_PROCESS"})


def _say(line: str) -> None:
    print(line, flush=True)


def up(stack: Stack, _: Sequence[str]) -> int:
    """Starts the stack and says where it is."""
    started, ran = time.monotonic(), bool(stack.processes())
    stack.up()
    verb = "was up already" if ran else "is up"
    _say(f"Assay {verb} ({time.monotonic() - started:.1f} s): {stack.env()['ASSAY_URL']}")
    _say(f"Addresses and credentials: . {_shown(stack)}")
    return 0


def _shown(stack: Stack) -> str:
    path = os.path.relpath(stack.folders.env)
    return str(stack.folders.env) if path.startswith("..") else path


def down(stack: Stack, _: Sequence[str]) -> int:
    """Stops the stack."""
    started, ran = time.monotonic(), stack.down()
    _say(f"Assay is down ({time.monotonic() - started:.1f} s); the data is kept." if ran else "Nothing of this stack was running.")
    return 0


def status(stack: Stack, _: Sequence[str]) -> int:
    """One line per process; 1 if some run and others don't."""
    rows = stack.processes()
    if not rows:
        _say(DOWN)
        return 0
    ports, pids = stack.ports(), stack.pids()
    for row in sorted(rows, key=lambda row: list(ports).index(_listener(row["name"]))):
        running = row["statename"] in RUNNING
        uptime = f"{row['now'] - row['start']} s" if running else "-"
        address = f"127.0.0.1:{ports[_listener(row['name'])]}"
        _say(
            f"{row['name']:<12} {'running' if running else row['statename'].lower():<9} pid {pids.get(row['name'], '-')!s:<8} {address:<16} up {uptime}"
        )
    _say(f"gateway      {stack.env().get('ASSAY_URL', '-')}")
    return 0 if all(row["statename"] in RUNNING for row in rows) else 1


def _listener(name: str) -> str:
    return "gateway" if name == "envoy" else name


def logs(stack: Stack, names: Sequence[str]) -> int:
    """Shows the logs' ends; follows them only where somebody is watching."""
    files = {file.stem: str(file) for file in sorted(stack.folders.logs.glob("*.log"))}
    existing = [files[name] for name in names or files if name in files]
    if not existing:
        _say(f"NAME is one of: {', '.join(files)}." if files else f"There is no log in {stack.folders.logs} yet.")
        return 1
    follow = ["-F"] if sys.stdout.isatty() else []
    sys.stdout.flush()
    return subprocess.run(["tail", "-n", "20", *follow, *existing], check=False).returncode  # noqa: S607 - the system's tail


def restart(stack: Stack, names: Sequence[str]) -> int:
    """Stops and starts one process."""
    running, name = [row["name"] for row in stack.processes()], "".join(names)
    if name not in running:
        _say(f"NAME is one of: {', '.join(running)}." if running else DOWN)
        return 1
    stack.stop(name)
    stack.start(name)
    _say(f"{name} is starting again, pid {stack.pids()[name]}.")
    return 0


def admin(stack: Stack, words: Sequence[str]) -> int:
    """Runs the catalog's own command on the running stack's database, and returns its status; its help needs no stack."""
    words = words or ["--help"]
    helps = not {"-h", "--help"}.isdisjoint(words)
    if not helps and not stack.processes():
        _say(DOWN)
        return 1
    catalog = {name: value for name, value in told("catalog", stack.folders).items() if name not in MARKS}
    environment = {**inherited_environment(), **python_environment(), **catalog}
    return subprocess.run(plan.admin_command(*words), env=environment, check=False).returncode


COMMANDS: dict[str, Callable[[Stack, Sequence[str]], int]] = {
    "up": up,
    "down": down,
    "status": status,
    "logs": logs,
    "restart": restart,
    "admin": admin,
}


def main() -> int:
    """Runs one command; failures are a sentence and 1, not a stack trace."""
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="a process, for logs and restart; for admin what it is to do")
    arguments = parser.parse_args()
    if len(arguments.words) > 1 and arguments.command != "admin":
        parser.error(f"one name at most: {' '.join(arguments.words)}")
    try:
        return COMMANDS[arguments.command](Stack(default_directory(), read_settings(), _say), arguments.words)
    except FAILURES as error:
        _say(f"{arguments.command} failed: {error}")
        return 1
    except BrokenPipeError:
        # Whoever read us has seen enough; Python would complain once more while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        _say("Interrupted; what was started still runs. `make down` stops it.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
