"""How the stack speaks with its supervisor, over a Unix socket."""

import subprocess
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from deploy.local.programs import python_module

TAIL = 25
STOPPED = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})


class SupervisorFailedError(RuntimeError):
    """The supervisor did not start, or did not do what it was told in time."""


@dataclass(frozen=True)
class Supervisor:
    """The supervisor behind a socket, running or not."""

    socket: Path
    config: Path
    log: Path

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        except OSError as gone:
            raise SupervisorFailedError(f"the supervisor doesn't answer ({gone}); the end of {self.log}:\n{self._last_lines()}") from gone
        finally:
            transport.close()

    def is_running(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (SupervisorFailedError, xmlrpc.client.Error):
            return False

    def _last_lines(self) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL:])
        except OSError:
            return "(no log)"

    def launch(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Starts it, detached from the terminal, and returns once it answers. Raises SupervisorFailedError."""
        self.socket.unlink(missing_ok=True)
        command = [*python_module("deploy.local.supervisord"), "--configuration", str(self.config)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 20
        while not self.is_running():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SupervisorFailedError(f"supervisord did not start; see {self.log}")
            time.sleep(0.03)
        return process

    def update(self) -> None:
        """Reads the configuration again; stops what is no longer in it or has changed, and adds what is new, stopped."""
        ((added, changed, removed),) = self._call("reloadConfig")
        self.stop([*changed, *removed], 30)
        for name in [*changed, *removed]:
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)

    def start(self, name: str) -> None:
        """Starts a process unless it is started already; doesn't wait."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise

    def stop(self, names: Iterable[str], timeout: float) -> None:
        """Stops these processes at the same time and returns when all have ended. Raises SupervisorFailedError."""
        waiting = set(names)
        for name in waiting:
            try:
                self._call("stopProcess", name, False)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode not in {Faults.NOT_RUNNING, Faults.BAD_NAME}:
                    raise
        deadline = time.monotonic() + timeout
        while waiting & {process["name"] for process in self.processes() if process["statename"] not in STOPPED}:
            if time.monotonic() > deadline:
                raise SupervisorFailedError(f"{', '.join(sorted(waiting))}: still running after {timeout:g} s")
            time.sleep(0.03)

    def processes(self) -> Sequence[Mapping[str, Any]]:
        """Supervisord's own rows: name, statename, pid, start, now, ..."""
        rows: Sequence[Mapping[str, Any]] = self._call("getAllProcessInfo")
        return rows

    def shut_down(self) -> None:
        """Tells it to end, with whatever still runs under it."""
        self._call("shutdown")
