"""The embedded stack from the command line: `python -m deploy.local {up,down,status,logs,restart}`."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

from deploy.local.credentials import BootstrapFailedError
from deploy.local.migrate import MigrationFailedError
from deploy.local.plan import GatewayNotRenderedError
from deploy.local.postgres import PostgresFailedError
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


def _say(line: str) -> None:
    print(line, flush=True)


def up(stack: Stack, _: str) -> int:
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


def down(stack: Stack, _: str) -> int:
    """Stops the stack."""
    started, ran = time.monotonic(), stack.down()
    _say(f"Assay is down ({time.monotonic() - started:.1f} s); the data is kept." if ran else "Nothing of this stack was running.")
    return 0


def status(stack: Stack, _: str) -> int:
    """One line per process; 1 unless all of them run."""
    rows = stack.processes()
    if not rows:
        _say("The stack is down; make up.")
        return 1
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


def logs(stack: Stack, name: str) -> int:
    """Shows the logs' ends; follows them only where somebody is watching."""
    files = [stack.folders.log(name)] if name else sorted(stack.folders.logs.glob("*.log"))
    existing = [str(file) for file in files if file.exists()]
    if not existing:
        _say(f"There is no log{' of ' + name if name else ''} in {stack.folders.logs}.")
        return 1
    follow = ["-F"] if sys.stdout.isatty() else []
    sys.stdout.flush()
    return subprocess.run(["tail", "-n", "20", *follow, *existing], check=False).returncode  # noqa: S607 - the system's tail


def restart(stack: Stack, name: str) -> int:
    """Stops and starts one process."""
    names = [row["name"] for row in stack.processes()]
    if name not in names:
        _say(f"Name one of: {', '.join(names)}" if names else "The stack is down; make up.")
        return 1
    stack.stop(name)
    stack.start(name)
    _say(f"{name} is starting again, pid {stack.pids()[name]}.")
    return 0


COMMANDS: dict[str, Callable[[Stack, str], int]] = {"up": up, "down": down, "status": status, "logs": logs, "restart": restart}


def main() -> int:
    """Runs one command; failures are a sentence and 1, not a stack trace."""
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("name", nargs="?", default="", help="a process, for logs and restart")
    arguments = parser.parse_args()
    try:
        return COMMANDS[arguments.command](Stack(default_directory(), read_settings(), _say), arguments.name)
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
