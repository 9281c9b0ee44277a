"""One Postgres cluster: how it is made, started, asked whether it is ready, and divided among the services."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import binaries

OWNER = "assay"
"""The superuser of the cluster and the database's name. It sees every schema, row-level security included."""

SERVICES = ("catalog", "runner", "scoring", "reporting")

SETTINGS: Mapping[str, str] = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "synchronous_commit": "on",
    "autovacuum_naptime": "15s",
    # JIT costs more than it saves on queries that take milliseconds.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # One line per statement that fails would repeat what the services log themselves.
    "log_min_error_statement": "panic",
}


class PostgresFailedError(RuntimeError):
    """A Postgres program ended with an error, or the server was not ready in time; the message is its own."""


@dataclass(frozen=True)
class Cluster:
    """A cluster on loopback. `password` is that of OWNER; `socket_folder` is None where TCP is enough."""

    data: Path
    port: int
    password: str
    socket_folder: Path | None = None

    def url(self, role: str = OWNER, password: str | None = None, database: str = OWNER) -> str:
        """The libpq URL of a role; the owner's where none is named."""
        return f"postgresql://{role}:{password or self.password}@127.0.0.1:{self.port}/{database}"


def data_folder(wanted: Path) -> Path:
    """`wanted`, or a folder under /var/tmp where Postgres must run as `nobody` and `wanted` is closed to that account."""
    prefix = binaries.unprivileged()
    if not prefix or prefix[0] != "setpriv":
        return wanted
    if subprocess.run([*prefix, "test", "-x", str(wanted.parent)], check=False).returncode == 0:
        return wanted
    return Path("/var/tmp") / f"assay-{hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]}"  # noqa: S108 - data that outlives a reboot


def initialise(cluster: Cluster) -> None:
    """Makes the cluster's files, with password authentication for every connection. Does nothing where they exist."""
    if (cluster.data / "PG_VERSION").exists():
        return
    # What an interrupted initdb left behind would be refused by the next one.
    shutil.rmtree(cluster.data, ignore_errors=True)
    cluster.data.mkdir(parents=True, mode=0o700)
    _give_to_nobody(cluster.data)
    command = [*binaries.unprivileged(), binaries.postgres("initdb"), "--pgdata", str(cluster.data), "--username", OWNER]
    options = ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
    # A file, not a pipe: another account may read the pipe that it was given, but not open it again by name.
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(cluster.password + "\n")
        password.flush()
        _give_to_nobody(Path(password.name))
        _run([*command, *options, "--pwfile", password.name], stdin="", env=dict(os.environ))


def _give_to_nobody(path: Path) -> None:
    """Hands a file or folder to the account that Postgres must run as, where that is not our own."""
    prefix = binaries.unprivileged()
    if prefix and prefix[0] == "setpriv":
        account = pwd.getpwnam("nobody")
        os.chown(path, account.pw_uid, account.pw_gid)


def command(cluster: Cluster, settings: Mapping[str, str] = SETTINGS) -> list[str]:
    """The argument list that starts the server in the foreground."""
    places = {
        "port": str(cluster.port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(cluster.socket_folder or ""),
    }
    options = [f"--{name}={value}" for name, value in {**places, **settings}.items()]
    return [*binaries.unprivileged(), binaries.postgres("postgres"), "-D", str(cluster.data), *options]


def clear_stale_lock(cluster: Cluster) -> None:
    """Removes postmaster.pid where its pid belongs to no Postgres any more.

    Postgres itself only asks whether the pid is alive; after a reboot it may be anybody's, and it would refuse for ever.
    """
    lock = cluster.data / "postmaster.pid"
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
        alive = b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        alive = False
    if not alive:
        lock.unlink(missing_ok=True)


def is_ready(cluster: Cluster) -> bool:
    """Whether a query is answered now."""
    try:
        run_sql(cluster, "SELECT 1", database="postgres")
    except PostgresFailedError:
        return False
    return True


def wait_ready(cluster: Cluster, timeout: float) -> None:
    """Returns once a query is answered. Raises PostgresFailedError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not is_ready(cluster):
        if time.monotonic() > deadline:
            raise PostgresFailedError(f"Postgres on port {cluster.port} was not ready within {timeout:g} s")
        time.sleep(0.05)


def run_sql(cluster: Cluster, sql: str, database: str = OWNER) -> str:
    """Runs statements as OWNER, each in a transaction of its own, and returns psql's bare output. Stops at the first error."""
    env = {**os.environ, "PGPASSWORD": cluster.password, "PGCONNECT_TIMEOUT": "5", "PGOPTIONS": "-c client_min_messages=warning"}
    place = ["--host=127.0.0.1", f"--port={cluster.port}", f"--username={OWNER}", f"--dbname={database}"]
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--file=-"]
    return _run([binaries.postgres("psql"), *place, *options], stdin=sql, env=env)


def create_database(cluster: Cluster, name: str, template: str = "template1") -> None:
    """Makes an empty database, or a copy of `template`. Does nothing where it exists."""
    if name not in run_sql(cluster, "SELECT datname FROM pg_database", database="postgres").split():
        run_sql(cluster, f'CREATE DATABASE "{name}" TEMPLATE "{template}"', database="postgres")


def create_roles(cluster: Cluster, passwords: Mapping[str, str]) -> None:
    """Makes or updates one login role per service, `assay_<service>`, whose search_path is its own schema."""
    run_sql(cluster, "\n".join(_role_sql(service, password) for service, password in passwords.items()), database="postgres")


def _role_sql(service: str, password: str) -> str:
    role = role_of(service)
    return f"""
        DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{password}';
        ALTER ROLE {role} SET search_path = {service};
    """


def create_schemas(cluster: Cluster, database: str, services: Sequence[str] = SERVICES) -> None:
    """Gives each service a schema that only its own role (and OWNER) can see into."""
    closing = [f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC;', "REVOKE ALL ON SCHEMA public FROM PUBLIC;"]
    run_sql(cluster, "\n".join(closing + [_schema_sql(service, database) for service in services]), database)


def _schema_sql(service: str, database: str) -> str:
    role = role_of(service)
    return f"""
        GRANT CONNECT, TEMPORARY ON DATABASE "{database}" TO {role};
        CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {role};
    """


def role_of(service: str) -> str:
    """The login role of a service."""
    return f"assay_{service}"


def _run(arguments: Sequence[str], stdin: str, env: Mapping[str, str]) -> str:
    done = subprocess.run(arguments, input=stdin, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PostgresFailedError(done.stderr.strip() or f"{arguments[0]} ended with {done.returncode}")
    return done.stdout
