"""Process 1 of the gateway's image: renders Envoy's configuration from the environment, runs Envoy, drains it on SIGTERM."""

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from gateway import certificates
from gateway.certificates import Certificates
from gateway.render import Address, Settings, render
from shared import config

ENVOY = "envoy"
"""Found on PATH."""
HERE = Path(__file__).parents[2]
SERVICES = ("catalog", "runner", "scoring", "reporting")
ADMIN_SECONDS = 2
POLL_SECONDS = 0.1
WRONG_SETTINGS = 2
ACTIVE = "^http[.]public[.]downstream_rq_active$"


@dataclass(frozen=True)
class Config:
    """Settings; each is ASSAY_ and its name in upper case. Addresses are HOST:PORT, several with commas."""

    catalog_address: str
    runner_address: str
    scoring_address: str
    reporting_address: str
    listen: str = "0.0.0.0:8080"
    admin_listen: str = "127.0.0.1:9901"
    """Loopback only: the page shows everything and can stop Envoy."""
    metrics_listen: str = ""
    """Where Prometheus finds /stats/prometheus and probes find /ready, and nobody anything else; empty: nowhere."""
    allowed_origins: tuple[str, ...] = ()
    max_connections: int = Settings.max_connections
    max_heap_bytes: int = Settings.max_heap_bytes
    timeout_seconds: int = Settings.timeout_seconds
    concurrency: int = 2
    """Envoy's worker threads; without a number it would take the node's cores, not the container's."""
    drain_seconds: float = 10.0
    """How long requests that have begun may take to end after SIGTERM; clients are told to go elsewhere meanwhile."""
    log_level: str = "warning"
    tls_cert: str = ""
    """Paths of what services are called with, as the services' own settings of these names; empty: plaintext."""
    tls_key: str = ""
    tls_ca: str = ""
    listen_tls_cert: str = ""
    """Paths of what clients are served with; with a CA they must show a certificate of it. Empty: plaintext."""
    listen_tls_key: str = ""
    listen_tls_ca: str = ""


def settings(given: Config, secrets: str = "") -> Settings:
    """What the renderer is told; `secrets` is a folder for what tells Envoy of certificates. Raises ValueError for an address
    that is none.
    """
    backends = {name: tuple(addresses(getattr(given, f"{name}_address"))) for name in SERVICES}
    return Settings(
        listen=address(given.listen),
        admin=address(given.admin_listen),
        metrics=address(given.metrics_listen) if given.metrics_listen else None,
        backends=backends,
        descriptor=HERE / "gen" / "assay.pb",
        documents=str(HERE / "documents"),
        allowed_origins=given.allowed_origins,
        max_connections=given.max_connections,
        max_heap_bytes=given.max_heap_bytes,
        timeout_seconds=given.timeout_seconds,
        tls=shown(given.tls_cert, given.tls_key, given.tls_ca),
        listen_tls=shown(given.listen_tls_cert, given.listen_tls_key, given.listen_tls_ca),
        secrets=secrets,
    )


def shown(*paths: str) -> Certificates | None:
    """Certificates, where any path is told; the renderer refuses what isn't whole."""
    return Certificates(*paths) if any(paths) else None


def addresses(target: str) -> list[Address]:
    """The endpoints of a gRPC target, so that gateway and services may be told the same: `dns:///catalog:5050`, `ipv4:1.2.3.4:1,…`."""
    bare = target.removeprefix("ipv4:").removeprefix("ipv6:").removeprefix("dns:").lstrip("/")
    return [address(part) for part in bare.split(",")]


def address(text: str) -> Address:
    """HOST:PORT. Raises ValueError."""
    host, _, port = text.strip().rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{text!r} is not HOST:PORT")
    return Address(host.strip("[]"), int(port))


def command(given: Config, file: Path) -> list[str]:
    """How Envoy is started. Hot restart would need shared memory, and a successor in the same container."""
    drain = ["--drain-time-s", str(max(1, round(given.drain_seconds))), "--drain-strategy", "immediate"]
    settled = ["--concurrency", str(given.concurrency), "--log-level", given.log_level, "--disable-hot-restart"]
    return [ENVOY, "-c", str(file), *settled, *drain]


@dataclass(frozen=True)
class Drain:
    """What is left to do once the gateway was told to end."""

    admin: Address
    seconds: float
    told: threading.Event

    def watch(self, envoy: "subprocess.Popen[bytes]") -> None:
        """Waits to be told; then lets requests end, and ends Envoy when none is left or the time is up."""
        self.told.wait()
        deadline = time.monotonic() + self.seconds
        self._asked("POST", "/drain_listeners?graceful&skip_exit")
        self._until_idle(deadline)
        # Who comes now is refused, which any client tries again elsewhere, rather than cut in the middle of a request.
        self._asked("POST", "/drain_listeners")
        self._until_idle(deadline)
        envoy.terminate()

    def _until_idle(self, deadline: float) -> None:
        while self._active() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _active(self) -> bool:
        answer = self._asked("GET", f"/stats?filter={ACTIVE}")
        return any(line.rpartition(":")[2].strip() != "0" for line in answer.splitlines())

    def _asked(self, method: str, path: str) -> str:
        connection = http.client.HTTPConnection(self.admin.host, self.admin.port, timeout=ADMIN_SECONDS)
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""  # it has ended, or never came up
        finally:
            connection.close()


def main() -> int:
    """Runs Envoy until it ends, or until SIGTERM and the drain; returns its exit status."""
    told = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: told.set())
    try:
        given = config.read(Config, os.environ)
        folder = Path(tempfile.mkdtemp(prefix="gateway-"))
        chosen = settings(given, str(folder))
        rendered = render(chosen)
        certificates.load(chosen.tls, chosen.listen_tls)
    except (config.ConfigError, ValueError) as fault:
        sys.stderr.write(f"{fault}\n")
        return WRONG_SETTINGS
    file = folder / "envoy.yaml"
    file.write_text(rendered)
    certificates.write(chosen.tls, chosen.listen_tls, folder)
    envoy = subprocess.Popen(command(given, file))
    drain = Drain(address(given.admin_listen), given.drain_seconds, told)
    threading.Thread(target=drain.watch, args=[envoy], daemon=True).start()
    return envoy.wait()


if __name__ == "__main__":
    sys.exit(main())
