"""The supervisor: what ends is started again, the pid file follows, and everything is found without it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local import processes
from deploy.local.environment import inherited_environment, python_environment
from deploy.local.files import Folders, read_json, write_text
from deploy.local.programs import Program, script, script_path, supervisor_config
from deploy.local.supervision import Supervisor


@dataclass
class Supervised:
    folders: Folders
    supervisor: Supervisor

    def configure(self, programs: list[Program]) -> None:
        for program in programs:
            write_text(script_path(program.name, self.folders), script(program, self.folders.root), mode=0o700)
        write_text(self.supervisor.config, supervisor_config(programs, self.folders, self.supervisor.socket))

    def pid(self, name: str) -> int:
        return int(read_json(self.folders.pids).get(name, 0))

    def state(self, name: str) -> str:
        return next((row["statename"] for row in self.supervisor.processes() if row["name"] == name), "")


def sleeper(name: str, seconds: str = "1000") -> Program:
    return Program(name, ["sleep", seconds])


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    folders = Folders(tmp_path)
    folders.make()
    it = Supervised(folders, Supervisor(folders.run / "s", folders.run / "conf", folders.log("supervisord")))
    it.configure([sleeper("a"), sleeper("b")])
    marks = {"ASSAY_STACK": str(tmp_path), "ASSAY_PROCESS": processes.SUPERVISOR, "ASSAY_PIDS_FILE": str(folders.pids)}
    process = it.supervisor.launch({**inherited_environment(), **python_environment(), **marks, "ASSAY_NATS_FOLDER": str(tmp_path)})
    it.supervisor.start("a")
    it.supervisor.start("b")
    assert eventually(lambda: all(it.pid(name) for name in "ab"))
    yield it
    processes.end_all(tmp_path, tmp_path / "postgres")
    process.wait(10)


def test_what_is_killed_is_started_again_at_once_and_the_pid_file_says_so(supervised: Supervised) -> None:
    first, other = supervised.pid("a"), supervised.pid("b")
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: supervised.pid("a") != first, seconds=5)
    assert supervised.pid("b") == other


def test_what_is_stopped_stays_stopped_and_keeps_its_last_pid(supervised: Supervised) -> None:
    last = supervised.pid("a")
    supervised.supervisor.stop(["a"], 5)
    assert supervised.state("a") == "STOPPED"
    assert supervised.pid("a") == last
    assert not processes.is_alive(last)


def test_starting_what_runs_changes_nothing(supervised: Supervised) -> None:
    before = supervised.pid("a")
    supervised.supervisor.start("a")
    assert supervised.pid("a") == before


def test_an_update_touches_only_what_changed(supervised: Supervised) -> None:
    kept = supervised.pid("a")
    supervised.configure([sleeper("a"), sleeper("b", "2000"), sleeper("c")])
    supervised.supervisor.update()
    assert supervised.pid("a") == kept
    assert supervised.state("a") in {"STARTING", "RUNNING"}
    assert (supervised.state("b"), supervised.state("c")) == ("STOPPED", "STOPPED")


def test_an_update_that_changes_nothing_touches_nothing(supervised: Supervised) -> None:
    before = {name: supervised.pid(name) for name in "ab"}
    supervised.supervisor.update()
    assert {name: supervised.pid(name) for name in "ab"} == before
    assert processes.is_alive(before["a"])


@pytest.mark.usefixtures("supervised")
def test_everything_is_found_and_ended_when_the_supervisor_was_killed(tmp_path: Path) -> None:
    def running() -> dict[str, int]:
        return {found.name: found.pid for found in processes.find(tmp_path, tmp_path / "postgres")}

    # A process bears its mark only once its program runs, a moment after it has a pid.
    assert eventually(lambda: running().keys() == {processes.SUPERVISOR, "a", "b"})
    mine = running()
    os.kill(mine[processes.SUPERVISOR], signal.SIGKILL)
    processes.end_all(tmp_path, tmp_path / "postgres")
    assert not [pid for pid in mine.values() if processes.is_alive(pid)]


def test_processes_of_another_stack_are_left_alone(supervised: Supervised, tmp_path: Path) -> None:
    assert processes.find(tmp_path / "another", tmp_path / "postgres") == []
    assert processes.is_alive(supervised.pid("a"))
