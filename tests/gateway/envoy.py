"""A real Envoy with the rendered configuration, and a plain HTTP client for it."""

import http.client
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import binaries, ports
from gateway import certificates
from gateway.render import Address, Settings, render

DESCRIPTOR = binaries.ROOT / "gen" / "assay.pb"
SERVICES = ("catalog", "reporting", "runner", "scoring")
JSON = {"content-type": "application/json"}
READY_WITHIN = 15.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, int, str]:
        """Status, code and message of an error in the contract's shape."""
        body = self.json
        assert set(body) == {"code", "message", "details"}
        assert self.headers["content-type"] == "application/json"
        return self.status, body["code"], body["message"]


@dataclass(frozen=True)
class Gateway:
    """A running Envoy."""

    port: int
    admin: int
    log: Path

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own, to be closed by the caller."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def send(
        self, verb: str, path: str, body: str | bytes | Iterable[bytes] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own; an iterable body goes out chunked."""
        connection = self.connect()
        try:
            return exchange(connection, verb, path, body, headers)
        finally:
            connection.close()

    def send_raw(self, data: bytes) -> bytes:
        """What comes back for these bytes until the gateway closes the connection, or falls silent for half a second."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as raw:
            raw.sendall(data)
            raw.settimeout(10)
            return b"".join(_until_silent(raw))

    def stat(self, name: str) -> int:
        """A counter of Envoy's."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            text = exchange(connection, "GET", f"/stats?filter=^{re.escape(name)}$").body.decode()
        finally:
            connection.close()
        return int(text.rpartition(" ")[2])


def exchange(
    connection: http.client.HTTPConnection,
    verb: str,
    path: str,
    body: str | bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request on a connection that stays open."""
    sent = dict(JSON if headers is None and body is not None else headers or {})
    connection.request(verb, path, body.encode() if isinstance(body, str) else body, sent)
    response = connection.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def _until_silent(raw: socket.socket) -> Iterator[bytes]:
    try:
        while data := raw.recv(65536):
            yield data
            raw.settimeout(0.5)
    except TimeoutError:
        return


def loopback(*at: int) -> list[Address]:
    """Addresses of these loopback ports."""
    return [Address("127.0.0.1", port) for port in at]


def settings(port: int, **changes: Any) -> Settings:
    """Settings for a gateway whose services all listen on one port."""
    given: dict[str, Any] = {
        "listen": Address("127.0.0.1", ports.any_free()),
        "admin": Address("127.0.0.1", ports.any_free()),
        "backends": {name: loopback(port) for name in SERVICES},
        "descriptor": DESCRIPTOR,
    }
    return Settings(**given | changes)


@contextmanager
def running(chosen: Settings, folder: Path) -> Iterator[Gateway]:
    """An Envoy with these settings, for as long as the block lasts. No Lua error may have occurred in it."""
    config, log = folder / "envoy.yaml", folder / "envoy.log"
    config.write_text(render(chosen))
    certificates.write(chosen.tls, chosen.listen_tls, folder)
    command = [*binaries.dies_with_parent("KILL"), binaries.envoy(), "-c", str(config), "--concurrency", "1", "-l", "warning"]
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--disable-hot-restart"], stdout=out, stderr=out)
    try:
        _wait_ready(process, chosen.listen.port, log)
        yield Gateway(chosen.listen.port, chosen.admin.port, log)
    finally:
        process.kill()
        process.wait()
    assert "script log" not in log.read_text()


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + READY_WITHIN
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"Envoy did not start: {log.read_text()[-2000:]}")


def validate(chosen: Settings, folder: Path) -> None:
    """Lets Envoy itself check a rendering."""
    config = folder / "envoy.yaml"
    config.write_text(render(chosen))
    certificates.write(chosen.tls, chosen.listen_tls, folder)
    checked = subprocess.run(
        [binaries.envoy(), "--mode", "validate", "-c", str(config), "-l", "warning"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert checked.returncode == 0, checked.stderr[-2000:]
    assert "deprecated" not in checked.stderr.lower()
