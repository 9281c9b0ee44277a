"""The gateway as its image runs it: the same first process, in a folder that is laid out like the image's."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import binaries, ports
from deploy.local.environment import inherited_environment
from gateway.openapi.__main__ import write
from tests.gateway.envoy import DESCRIPTOR, SERVICES, Gateway

READY_WITHIN = 30.0


@dataclass(frozen=True)
class Image:
    """What stands in for the image."""

    folder: Path

    def start(self, told: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Process 1 with these settings; it writes into `log`."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        environment = {**inherited_environment(), "PATH": path, "PYTHONPATH": f"{self.folder}:{self.folder / 'gen'}", **told}
        command = [*binaries.dies_with_parent("TERM"), sys.executable, "-m", "deploy.docker.gateway"]
        with self.log.open("wb") as out:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=out, stderr=out)

    @property
    def log(self) -> Path:
        """What the newest process wrote."""
        return self.folder / "log"


def laid_out(folder: Path) -> Image:
    """A folder as the image's, of links into the repository and the environment."""
    for name in ("deploy", "gateway", "shared", "gen"):
        (folder / name).symlink_to(binaries.ROOT / name)
    for name in ("documents", "bin"):
        (folder / name).mkdir()
    write(DESCRIPTOR, folder / "documents")
    (folder / "bin" / "envoy").symlink_to(binaries.envoy())
    return Image(folder)


@dataclass(frozen=True)
class Running:
    """The first process, and the Envoy that it runs."""

    process: "subprocess.Popen[bytes]"
    gateway: Gateway
    metrics: Gateway
    """The same Envoy where its metrics are."""


def settings(backend: int) -> dict[str, str]:
    """What the process must be told, with all services on one port."""
    listen, admin, metrics = ports.any_free(), ports.any_free(), ports.any_free()
    own = {"LISTEN": listen, "ADMIN_LISTEN": admin, "METRICS_LISTEN": metrics, **{f"{name.upper()}_ADDRESS": backend for name in SERVICES}}
    return {f"ASSAY_{name}": f"127.0.0.1:{port}" for name, port in own.items()} | {"ASSAY_CONCURRENCY": "1"}


@contextmanager
def running(image: Image, told: Mapping[str, str]) -> Iterator[Running]:
    """The gateway with these settings, for as long as the block lasts."""
    process = image.start(told)
    listen, admin, metrics = (int(told[f"ASSAY_{name}"].rpartition(":")[2]) for name in ("LISTEN", "ADMIN_LISTEN", "METRICS_LISTEN"))
    started = Running(process, Gateway(listen, admin, image.log), Gateway(metrics, admin, image.log))
    try:
        _wait_ready(started)
        yield started
    finally:
        process.terminate()
        process.wait()


def _wait_ready(started: Running) -> None:
    give_up = time.monotonic() + READY_WITHIN
    while time.monotonic() < give_up and started.process.poll() is None:
        try:
            if started.metrics.send("GET", "/ready").status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the gateway did not start: {started.gateway.log.read_text()[-2000:]}")
