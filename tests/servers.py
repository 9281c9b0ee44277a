"""Real Postgres and real NATS for tests, started on free loopback ports in a temporary folder and stopped at the end.

Fixtures (tests/conftest.py makes them known everywhere):

`postgres` (session): one cluster for the whole session. `postgres.create(["catalog", "runner"])` makes a new database
with those services' schemas migrated, and returns service -> URL of that service's own role, plus "assay" -> URL of
the owner, who sees all. Each call is a database of its own (about 0.1 s; the first call of a combination migrates).
`postgres.create([])` is an empty database.

`nats_server` (module): one server with an empty JetStream store for a test module: `.url`, `.store`, `.kill()`,
`.start()`, `.wipe()` (kill -9, remove the store, start).

`nats_url` (module): `nats_server.url`.
"""

import contextlib
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local import binaries, nats, ports, postgres as pg
from deploy.local.migrate import migrate, migrations_of

READY_WITHIN = 30.0


@dataclass
class PostgresServer:
    """The session's cluster; see `create`."""

    cluster: pg.Cluster
    passwords: Mapping[str, str]
    _templates: dict[tuple[str, ...], str] = field(default_factory=dict)
    _databases: int = 0

    def create(self, services: Sequence[str]) -> dict[str, str]:
        """A new database with these services' migrated schemas: service -> its role's URL, and "assay" -> the owner's."""
        template = self._template(tuple(sorted(services)))
        self._databases += 1
        name = f"test_{self._databases}"
        pg.create_database(self.cluster, name, template)
        # CREATE DATABASE copies the schemas and their rights, but not the rights on the database itself.
        pg.create_schemas(self.cluster, name, services)
        return {**self._urls(name, services), pg.OWNER: self.cluster.url(database=name)}

    def _template(self, services: tuple[str, ...]) -> str:
        if services not in self._templates:
            name = "template_" + ("_".join(services) or "empty")
            pg.create_database(self.cluster, name)
            pg.create_schemas(self.cluster, name, services)
            for service, url in self._urls(name, services).items():
                # A schema without migrations is what a test of shared/ wants: it makes its own tables.
                if migrations_of(service).is_dir():
                    migrate(service, url)
            self._templates[services] = name
        return self._templates[services]

    def _urls(self, database: str, services: Sequence[str]) -> dict[str, str]:
        return {name: self.cluster.url(pg.role_of(name), self.passwords[name], database) for name in services}


@dataclass
class NatsProcess:
    """A NATS server that tests may kill, wipe and start again on the same port."""

    server: nats.NatsServer
    log: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What clients connect to."""
        return self.server.url

    @property
    def store(self) -> Path:
        """The folder of the streams."""
        return self.server.store

    def start(self) -> None:
        """Starts the server and returns when it is ready."""
        nats.write_config(self.server)
        self._process = _start([*binaries.dies_with_parent("KILL"), *nats.command(self.server)], self.log)
        nats.wait_ready(self.server, READY_WITHIN)

    def kill(self) -> None:
        """Kill -9, as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        """Kills the server, removes its store, starts it again."""
        self.kill()
        shutil.rmtree(self.store, ignore_errors=True)
        self.start()


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        # A session of its own keeps Ctrl-C in the terminal from ending the server before the fixtures do.
        return subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)


def _postgres_command(cluster: pg.Cluster) -> list[str]:
    # Nobody pulls the plug on a test's database: without fsync a migrated copy takes a third of the time.
    settings = {**pg.SETTINGS, "shared_buffers": "64MB", "fsync": "off", "full_page_writes": "off"}
    command = pg.command(cluster, settings)
    prefix = len(binaries.unprivileged())
    return [*command[:prefix], *binaries.dies_with_parent("INT"), *command[prefix:]]


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[PostgresServer]:
    """A cluster in `folder` with the roles of all services, for as long as the block lasts."""
    cluster = pg.Cluster(pg.data_folder(folder / "postgres"), ports.any_free(), secrets.token_hex(8))
    pg.initialise(cluster)
    process = _start(_postgres_command(cluster), folder / "postgres.log")
    try:
        pg.wait_ready(cluster, READY_WITHIN)
        passwords = {service: secrets.token_hex(8) for service in pg.SERVICES}
        pg.create_roles(cluster, passwords)
        yield PostgresServer(cluster, passwords)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(READY_WITHIN)
        shutil.rmtree(cluster.data, ignore_errors=True)


@contextlib.contextmanager
def running_nats(folder: Path) -> Iterator[NatsProcess]:
    """A server with an empty store in `folder`, for as long as the block lasts."""
    port = ports.any_free()
    server = nats.NatsServer(folder / "nats", folder / "nats.conf", port, ports.any_free({port}), secrets.token_hex(8))
    process = NatsProcess(server, folder / "nats.log")
    process.start()
    try:
        yield process
    finally:
        process.kill()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The session's real Postgres."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    """The module's real NATS, its store empty at first."""
    with running_nats(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="module")
def nats_url(nats_server: NatsProcess) -> str:
    """The address of the module's NATS."""
    return nats_server.url
