"""Containers as restricted as the chart's pods: no root, nothing to write to but /tmp, no capabilities."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PODMAN = ("podman", "--runtime=runc", "--cgroup-manager=cgroupfs")
# The host's network stands for the pods' own: everything is on loopback, on ports of its own.
RESTRICTED = (
    *("--network=host", "--pull=never", "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:rw,size=256m,mode=1777"),
    *("--cap-drop=ALL", "--security-opt=no-new-privileges", "--ulimit=nofile=8192:8192", "--ulimit=nproc=1024:1024"),
)
POLL = 0.05


class ContainerFailedError(RuntimeError):
    """podman refused, or what ran in a container failed; the message is its output."""


@dataclass(frozen=True)
class Container:
    """One container, which may be started again after it ended. Its name is nobody else's."""

    name: str
    image: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    memory: str = ""
    grace_seconds: int = 30
    mounts: Sequence[str] = ()

    def create(self) -> None:
        """Makes it, without starting it. Raises ContainerFailedError."""
        self._podman("create", *self._options(), self.image, *self.arguments)

    def start(self) -> None:
        """Starts it. Raises ContainerFailedError."""
        self._podman("start", self.name)

    def run(self) -> str:
        """Runs it to its end and returns what it printed; nothing of it is left. Raises ContainerFailedError."""
        return self._podman("run", "--rm", *self._options(), self.image, *self.arguments)

    def stop(self) -> float:
        """SIGTERM, and SIGKILL when the grace period is over; returns the seconds until it had ended."""
        began = time.monotonic()
        process = self.pid()
        os.kill(process, signal.SIGTERM)
        while Path(f"/proc/{process}").exists() and time.monotonic() < began + self.grace_seconds:
            time.sleep(POLL)
        took = time.monotonic() - began
        # podman notes the end a moment later, and kills what outlived its grace.
        self._podman("stop", "--time=0", self.name)
        return took

    def exit_code(self) -> int:
        """How it ended; 137 where it had to be killed."""
        return int(self._podman("inspect", "--format={{.State.ExitCode}}", self.name))

    def pid(self) -> int:
        """Of process 1, as the machine counts. Raises ContainerFailedError if it doesn't run."""
        found = int(self._podman("inspect", "--format={{.State.Pid}}", self.name))
        if not found:
            raise ContainerFailedError(f"{self.name} has ended:\n{self.log()[-2_000:]}")
        return found

    def log(self) -> str:
        """What it printed."""
        done = subprocess.run([*PODMAN, "logs", self.name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def remove(self) -> None:
        """Ends it at once and removes it."""
        subprocess.run([*PODMAN, "rm", "--force", "--time=0", self.name], capture_output=True, check=False)

    def _options(self) -> list[str]:
        # By name alone: values in the list of arguments could be read by everybody.
        variables = [f"--env={name}" for name in self.environment]
        limits = [f"--memory={self.memory}"] if self.memory else []
        return [f"--name={self.name}", *RESTRICTED, *limits, *variables, *(f"--volume={mount}" for mount in self.mounts)]

    def _podman(self, *words: str) -> str:
        done = subprocess.run([*PODMAN, *words], env={**os.environ, **self.environment}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ContainerFailedError(f"podman {words[0]} {self.name}: {done.stderr.strip()[-2_000:]}")
        return done.stdout.strip()
