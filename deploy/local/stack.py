"""The embedded stack as one object: up, down, and hands on its processes.

    stack = Stack(Path("a-folder"), Settings(runners=2))
    stack.up()
    stack.kill("runner-1")
    requests go to stack.env()["ASSAY_URL"]
    stack.down()

Everything that a stack remembers is in its folder, so any process may make a Stack of the same folder and go on.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from deploy.local import binaries, credentials, nats, plan, postgres, processes
from deploy.local.environment import Topology, inherited_environment, python_environment, shell_text
from deploy.local.files import Folders, forget_socket_folder, read_json, socket_folder, write_json, write_text
from deploy.local.migrate import migrate
from deploy.local.postgres import SERVICES
from deploy.local.processes import Found
from deploy.local.programs import Program, script, script_path, supervisor_config
from deploy.local.readiness import answers, serves
from deploy.local.settings import PREFERRED_PORTS, Settings, parse_env_file
from deploy.local.supervision import Supervisor

READY_WITHIN = 60.0
POLL = 0.05
# A process that ended this often while it was waited for will not come up in what is left of the minute either.
HOPELESS = 4
TAIL = 25
# The first second after a start is STARTING, the wait before the next try BACKOFF.
ALIVE = frozenset({"RUNNING", "STARTING", "BACKOFF"})


class StackFailedError(RuntimeError):
    """The stack did not come up; the message says what failed, with the last lines of its log."""


@dataclass
class Stack:
    """The stack whose state is in `directory`, running or not."""

    directory: Path
    settings: Settings = field(default_factory=Settings)
    say: Callable[[str], None] = lambda _: None
    """Receives a line for every step."""
    _launched: "subprocess.Popen[bytes] | None" = None

    @property
    def folders(self) -> Folders:
        """Where its files are."""
        return Folders(self.directory.absolute())

    def up(self) -> None:
        """Starts what doesn't run and replaces what is out of date; returns when a request through the gateway succeeds.

        Raises StackFailedError, or the failed server's own error. What was started then still runs, for its logs to be read.
        """
        self.folders.make()
        with self._locked():
            topology, programs = self._prepare()
            self._supervise(programs)
            self._start_servers(topology)
            made = self._prepare_database(topology)
            self._start_services(topology, [program.name for program in programs])
            self._await_gateway(topology, made["token"])
            write_text(self.folders.env, shell_text(topology.exported(made, self.folders)))

    def down(self) -> bool:
        """Stops everything in good order and keeps the data. Returns whether anything ran."""
        if not self.folders.root.is_dir():
            # Somebody removed it; what was started in it may still run.
            return bool(self._end_leftovers())
        with self._locked():
            ran = self._stop_supervised()
            left = self._end_leftovers()
            self._reap()
            forget_socket_folder(self.folders, read_json(self.folders.state).get("sockets"))
            return ran or bool(left)

    def env(self) -> dict[str, str]:
        """What `.local/env` exports. Empty before the first start."""
        return parse_env_file(self.folders.env.read_text()) if self.folders.env.exists() else {}

    def pids(self) -> dict[str, int]:
        """Process name -> its newest pid."""
        return read_json(self.folders.pids)

    def ports(self) -> dict[str, int]:
        """What listens -> its port, as of the last start."""
        return dict(read_json(self.folders.state).get("ports", {}))

    def processes(self) -> Sequence[Mapping[str, Any]]:
        """The supervisor's rows; none where it doesn't run."""
        supervisor = self._supervisor()
        return supervisor.processes() if supervisor.is_running() else []

    def kill(self, name: str, with_signal: signal.Signals = signal.SIGKILL) -> int:
        """Signals a process and returns its pid. What ends by it is started again at once."""
        pid = self.pids()[name]
        os.kill(pid, with_signal)
        return pid

    def stop(self, name: str) -> None:
        """Stops a process gracefully; it stays stopped."""
        self._supervisor().stop([name], READY_WITHIN)

    def start(self, name: str) -> None:
        """Starts a stopped process; doesn't wait until it is ready."""
        self._supervisor().start(name)

    def log_tail(self, name: str, lines: int = TAIL) -> str:
        """The last lines of a process's log."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.folders.log(name).read_text(errors="replace").splitlines()[-lines:])
        return ""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One up or down at a time."""
        with (self.folders.root / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say("Waiting for another `up` or `down` of this stack ...")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _supervisor(self) -> Supervisor:
        folders = self.folders
        sockets = Path(read_json(folders.state).get("sockets") or folders.run)
        return Supervisor(sockets / "supervisor.sock", folders.run / "supervisord.conf", folders.log("supervisord"))

    def _prepare(self) -> tuple[Topology, list[Program]]:
        folders, remembered = self.folders, read_json(self.folders.state)
        running = self._supervisor().is_running()
        if not running and (left := self._end_leftovers()):
            self.say(f"Ended {len(left)} processes that an earlier start left behind.")
        # The usual ports are for the one stack of the repository: others, started at the same time, would all find them free.
        usual = PREFERRED_PORTS if self.folders.root == binaries.ROOT / ".local" else {}
        ports = plan.choose_ports(self.settings, remembered.get("ports", {}), running=running, usual=usual)
        for name, port in self.settings.ports.items():
            if ports.get(name, port) != port:
                self.say(f"Port {port} for {name} is taken; using {ports[name]}.")
        sockets = socket_folder(folders, remembered.get("sockets"))
        write_json(folders.state, {"ports": ports, "sockets": str(sockets)})
        topology = plan.topology(folders, self.settings, ports, sockets)
        return topology, plan.programs(folders, topology)

    def _supervise(self, programs: Sequence[Program]) -> None:
        folders, supervisor = self.folders, self._supervisor()
        for program in programs:
            write_text(script_path(program.name, folders), script(program, folders.root), mode=0o700)
        write_text(supervisor.config, supervisor_config(programs, folders, supervisor.socket))
        if supervisor.is_running():
            supervisor.update()
            names = {program.name for program in programs}
            write_json(folders.pids, {name: pid for name, pid in self.pids().items() if name in names})
            return
        self._reap()
        folders.pids.unlink(missing_ok=True)
        marks = {"ASSAY_STACK": str(folders.root), "ASSAY_PROCESS": processes.SUPERVISOR}
        told = {"ASSAY_PIDS_FILE": str(folders.pids), "ASSAY_NATS_FOLDER": str(folders.nats_store)}
        self._launched = supervisor.launch({**inherited_environment(), **python_environment(), **marks, **told})

    def _start_servers(self, topology: Topology) -> None:
        supervisor = self._supervisor()
        if not (topology.cluster.data / "PG_VERSION").exists():
            self.say("Making the database ...")
            postgres.initialise(topology.cluster)
        if self._state_of("postgres") == "STOPPED":
            postgres.clear_stale_lock(topology.cluster)
            self.say(f"Postgres on port {topology.ports['postgres']}, NATS on {topology.ports['nats']} ...")
        supervisor.start("postgres")
        supervisor.start("nats")
        self._await("postgres", lambda: postgres.is_ready(topology.cluster))
        self._await("nats", lambda: nats.is_ready(topology.nats))

    def _state_of(self, name: str) -> str:
        return next((str(row["statename"]) for row in self.processes() if row["name"] == name), "STOPPED")

    def _prepare_database(self, topology: Topology) -> dict[str, str]:
        """Roles, schemas, migrations and the first workspace; all of it may be there already. Returns the credentials."""
        passwords = topology.secrets["postgres_passwords"]
        postgres.create_database(topology.cluster, postgres.OWNER)
        postgres.create_roles(topology.cluster, {service: passwords[service] for service in SERVICES})
        postgres.create_schemas(topology.cluster, postgres.OWNER)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda service: migrate(service, topology.service_url(service)), SERVICES))
        return credentials.load(self.folders, topology)

    def _start_services(self, topology: Topology, names: Sequence[str]) -> None:
        alive = {row["name"] for row in self.processes() if row["statename"] in ALIVE}
        stopped = [name for name in names if name not in alive]
        if stopped:
            self.say(f"Starting {', '.join(stopped)} ...")
        for name in stopped:
            self._supervisor().start(name)
        for service in SERVICES:
            for name, endpoint in zip(topology.instances(service), topology.endpoints(service), strict=True):
                self._await(name, partial(serves, endpoint, service))

    def _await_gateway(self, topology: Topology, token: str) -> None:
        self._await("envoy", lambda: answers(topology.gateway, token))

    def _await(self, name: str, is_ready: Callable[[], bool]) -> None:
        """Polls until ready. Raises StackFailedError after a minute, or once the process has ended again and again."""
        deadline, seen = time.monotonic() + READY_WITHIN, set[int]()
        while not is_ready():
            seen.add(self.pids().get(name, 0))
            if time.monotonic() > deadline or len(seen) >= HOPELESS:
                why = f"ended {len(seen) - 1} times" if len(seen) >= HOPELESS else f"was not ready within {READY_WITHIN:g} s"
                raise StackFailedError(f"{name} {why}. The end of {self.folders.log(name)}:\n{self.log_tail(name)}")
            time.sleep(POLL)

    def _stop_supervised(self) -> bool:
        supervisor = self._supervisor()
        if not supervisor.is_running():
            return False
        names = [str(row["name"]) for row in supervisor.processes()]
        services = [name for name in names if name not in {"envoy", "nats", "postgres"}]
        for group in (["envoy"], services, ["nats"], ["postgres"]):
            supervisor.stop(group, READY_WITHIN)
        supervisor.shut_down()
        self._reap()
        return True

    def _end_leftovers(self) -> list[Found]:
        return processes.end_all(self.folders.root, postgres.data_folder(self.folders.root / "postgres"))

    def _reap(self) -> None:
        """Asks after a supervisor of ours that has ended, so that no zombie of it stays as long as we live."""
        if self._launched:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._launched.wait(10)
            self._launched = None
