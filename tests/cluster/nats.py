"""Three NATS servers that are one JetStream cluster, on loopback."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nats as client

from deploy.local import binaries, nats, ports

NODES = 3
READY_WITHIN = 30.0


@dataclass
class Node:
    """One server; it may be killed and started again."""

    name: str
    server: nats.NatsServer
    log: Path
    routes: str
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        """Starts it, without waiting."""
        self.server.config.write_text(_config(self))
        self.server.config.chmod(0o600)
        with self.log.open("ab") as out:
            command = [*binaries.dies_with_parent("KILL"), *nats.command(self.server)]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)

    def kill(self) -> None:
        """Kill -9."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass(frozen=True)
class Cluster:
    """All three."""

    nodes: Sequence[Node]

    @property
    def url(self) -> str:
        """What clients are told: all servers, since the first may be the one that is away."""
        return ",".join(node.server.url for node in self.nodes)

    async def leader(self, stream: str) -> Node:
        """The node that leads a stream."""
        connection = await client.connect(self.url.split(","))
        try:
            info = await connection.jetstream().stream_info(stream)
            leader = info.cluster.leader if info.cluster else None
        finally:
            await connection.close()
        return next(node for node in self.nodes if node.name == leader)

    async def replicas(self, stream: str) -> int:
        """How many copies a stream has."""
        connection = await client.connect(self.url.split(","))
        try:
            return int((await connection.jetstream().stream_info(stream)).config.num_replicas or 0)
        finally:
            await connection.close()

    def wait_ready(self) -> None:
        """Returns once every server is in order, its JetStream caught up."""
        for node in self.nodes:
            nats.wait_ready(node.server, READY_WITHIN)


@contextlib.contextmanager
def running(folder: Path, password: str) -> Iterator[Cluster]:
    """The cluster, for as long as the block lasts."""
    taken: set[int] = set()

    def port() -> int:
        taken.add(found := ports.any_free(taken))
        return found

    meeting = [port() for _ in range(NODES)]
    nodes = []
    for number, own in enumerate(meeting, start=1):
        place = folder / f"nats-{number}"
        place.mkdir()
        server = nats.NatsServer(place / "store", place / "nats.conf", port(), port(), password)
        others = ", ".join(f'"nats://127.0.0.1:{other}"' for other in meeting if other != own)
        nodes.append(Node(f"nats-{number}", server, folder / f"nats-{number}.log", f'listen: "127.0.0.1:{own}"\n  routes: [{others}]'))
    cluster = Cluster(nodes)
    try:
        for node in nodes:
            node.start()
        cluster.wait_ready()
        yield cluster
    finally:
        for node in nodes:
            node.kill()


def _config(node: Node) -> str:
    server = node.server
    return f"""listen: "127.0.0.1:{server.port}"
http: "127.0.0.1:{server.monitor_port}"
server_name: {node.name}
authorization {{ user: assay, password: "{server.password}" }}
cluster {{
  name: assay
  {node.routes}
}}
jetstream {{
  store_dir: {json.dumps(str(server.store))}
  sync_interval: always
  max_file_store: 4GB
}}
"""
