"""One NATS server with JetStream: its configuration, its command, and when it is ready."""

import http.client
import json
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.local import binaries


class NatsNotReadyError(RuntimeError):
    """The server did not say that it is healthy in time."""


@dataclass(frozen=True)
class NatsServer:
    """A server on loopback. `store` holds the streams and may be removed at any time the server is stopped."""

    store: Path
    config: Path
    port: int
    monitor_port: int
    password: str

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"nats://assay:{self.password}@127.0.0.1:{self.port}"


def write_config(server: NatsServer) -> None:
    """Writes the configuration file, readable by its owner only, since it holds the password."""
    server.config.parent.mkdir(parents=True, exist_ok=True)
    server.config.touch(mode=0o600)
    server.config.write_text(_config_text(server))


def _config_text(server: NatsServer) -> str:
    # sync_interval must stand on a line of its own and unquoted; quoted it is refused.
    return f"""listen: "127.0.0.1:{server.port}"
http: "127.0.0.1:{server.monitor_port}"
server_name: assay
max_payload: 1MB
authorization {{ user: assay, password: "{server.password}" }}
jetstream {{
  store_dir: {json.dumps(str(server.store))}
  sync_interval: always
  max_file_store: 8GB
}}
"""


def command(server: NatsServer) -> list[str]:
    """The argument list that starts the server in the foreground."""
    return [binaries.script("nats-server"), "--config", str(server.config)]


def wait_ready(server: NatsServer, timeout: float) -> None:
    """Returns once the server and its JetStream are healthy. Raises NatsNotReadyError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not is_ready(server):
        if time.monotonic() > deadline:
            message = f"NATS on port {server.port} was not ready within {timeout:g} s"
            raise NatsNotReadyError(message)
        time.sleep(0.05)


def is_ready(server: NatsServer) -> bool:
    """Whether the server answers that it is healthy now."""
    connection = http.client.HTTPConnection("127.0.0.1", server.monitor_port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
