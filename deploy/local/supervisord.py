"""supervisord with habits of its own: `python -m deploy.local.supervisord --configuration FILE`.

It starts again at once what was killed (the original may wait for its next second), never waits longer than two seconds
for what keeps failing, and writes each new pid to the file that ASSAY_PIDS_FILE names. NATS, whose store ASSAY_NATS_FOLDER
names, is started again after half a second, and when its store is removed under it.
"""

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from supervisor import process as supervisor_process, supervisord
from supervisor.states import ProcessStates

from deploy.local.files import read_json, write_json
from deploy.local.store_watch import StoreWatch

LONGEST_WAIT = 2.0
# So many ends within a second of the start may be somebody's kill -9; more of them are a fault that needs time.
AT_ONCE = 3
NATS_PAUSE = 0.5
# How often the loop looks at what changes without a signal: waits that are over, the store of NATS.
TICK = 0.2


class PatientProcess(supervisor_process.Subprocess):  # type: ignore[misc]  # supervisor ships no types
    """A process that is never given up."""

    def change_state(self, new_state: int, expected: bool = True) -> Any:  # noqa: FBT001, FBT002 - the base's signature
        """Caps the wait between two tries, which the base lets grow by a second each time."""
        changed = super().change_state(new_state, expected)
        if new_state == ProcessStates.BACKOFF:
            tries: int = self.backoff
            self.delay = time.time() + (0 if tries <= AT_ONCE else min(LONGEST_WAIT, tries / 4))
        return changed

    def finish(self, pid: int, sts: int) -> None:
        """Starts again in the same breath, not at the next tick."""
        super().finish(pid, sts)
        if self.state in {ProcessStates.EXITED, ProcessStates.BACKOFF}:
            self.transition()

    def _spawn_as_parent(self, pid: int) -> Any:
        result = super()._spawn_as_parent(pid)
        record_pid(Path(os.environ["ASSAY_PIDS_FILE"]), self.config.name, pid)
        return result


class NatsProcess(PatientProcess):
    """NATS, with an eye on its store."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._watch = StoreWatch(Path(os.environ["ASSAY_NATS_FOLDER"]))

    def transition(self) -> None:
        """Leaves a moment to whoever kills NATS in order to remove its store; ends a server whose store is gone."""
        if self.state in {ProcessStates.EXITED, ProcessStates.BACKOFF} and time.time() < self.laststop + NATS_PAUSE:
            return
        super().transition()
        if self.state in {ProcessStates.STARTING, ProcessStates.RUNNING} and self._watch.is_lost(time.time() - self.laststart):
            self.config.options.logger.info("the store of NATS was removed; starting it again")
            os.kill(self.pid, signal.SIGKILL)

    def _spawn_as_parent(self, pid: int) -> Any:
        self._watch.forget()
        return super()._spawn_as_parent(pid)


def make_process(config: Any) -> PatientProcess:
    """The process of a program's configuration."""
    return NatsProcess(config) if config.name == "nats" else PatientProcess(config)


class AlarmClock:
    """Wakes the supervisor's loop at every signal and every tick. Python goes on sleeping after a signal, so an ended child would wait."""

    def __init__(self) -> None:
        self._inside, outside = socket.socketpair()
        for end in (self._inside, outside):
            end.setblocking(False)
        self._outside = outside
        signal.set_wakeup_fd(outside.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, TICK, TICK)

    def fileno(self) -> int:
        """What the loop polls."""
        return self._inside.fileno()

    def readable(self) -> bool:
        """Always wanted."""
        return True

    def writable(self) -> bool:
        """Never written to by the loop."""
        return False

    def handle_read_event(self) -> None:
        """Empties the pipe; being awake was all that was wanted."""
        self._inside.recv(4096)

    def handle_error(self) -> None:
        """There is nothing that could be wrong with it."""


class WakefulSupervisor(supervisord.Supervisor):  # type: ignore[misc]  # supervisor ships no types
    """A supervisor that looks at once when a child ends."""

    def runforever(self) -> None:
        """The base's loop, with the alarm clock among its sockets. Earlier than here the base would close it again."""
        clock = AlarmClock()
        self.options.get_socket_map()[clock.fileno()] = clock
        super().runforever()


def record_pid(file: Path, name: str, pid: int) -> None:
    """Notes the pid under the name; the other names keep theirs, a stopped process its last."""
    write_json(file, {**read_json(file), name: pid})


def main() -> None:
    """Runs supervisord until it is told to end."""
    # The configuration's classes look the name up in the module each time they make a process.
    supervisor_process.Subprocess = make_process
    supervisord.Supervisor = WakefulSupervisor
    supervisord.main()


if __name__ == "__main__":
    main()
