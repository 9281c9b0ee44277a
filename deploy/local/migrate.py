"""Brings a service's schema up to date: `python -m deploy.local.migrate SERVICE`, its URL in ASSAY_POSTGRES_URL."""

import argparse
import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from deploy.local import binaries

CONNECT_SECONDS = 30.0
PATIENCE_SECONDS = 300.0
LOOK_SECONDS = 0.25


class MigrationFailedError(RuntimeError):
    """Postgres can't be reached, dbmate refused (the message is its own output), or another migration took too long."""


def migrations_of(service: str) -> Path:
    """The folder of a service's numbered SQL files."""
    return binaries.ROOT / "services" / service / "migrations"


def migrate(service: str, url: str) -> None:
    """Applies what is missing, as the service's own role and in its own schema. Safe to call at any time.

    `url` is the libpq URL of the service's role. Raises MigrationFailedError. Concurrent calls wait for each other.
    """
    folder = migrations_of(service)
    options = ["--no-dump-schema", "--migration-lock", "--migrations-table", f"{service}.schema_migrations"]
    with _alone(service, url):
        # The URL travels in the environment: an argument list is readable by everybody. dbmate's own .env is not read.
        done = subprocess.run(
            [binaries.script("dbmate"), "--env-file", os.devnull, "--migrations-dir", str(folder), *options, "migrate"],
            env={"DATABASE_URL": _for_dbmate(url), "PATH": os.environ.get("PATH", "")},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        message = f"migrating {service}: {done.stderr.strip() or done.stdout.strip()}"
        raise MigrationFailedError(message)


@contextlib.contextmanager
def _alone(service: str, url: str) -> Iterator[None]:
    """Nobody else migrates the database meanwhile, for whatever service. Raises MigrationFailedError.

    dbmate's own lock is waited for inside of a statement, whose snapshot a CREATE INDEX CONCURRENTLY of the one that holds the
    lock waits for in turn: a deadlock, which leaves an invalid index behind. So this lock is asked for again and again instead.
    """
    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(1) as thread, contextlib.closing(loop):  # the caller's own thread may run a loop already

        def run(work: Coroutine[Any, Any, Any]) -> Any:
            return thread.submit(loop.run_until_complete, work).result()

        try:
            connection: asyncpg.Connection = run(asyncpg.connect(url, timeout=CONNECT_SECONDS))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            message = f"migrating {service}: {fault or type(fault).__name__}"
            raise MigrationFailedError(message) from fault
        try:
            ends = time.monotonic() + PATIENCE_SECONDS
            while not run(connection.fetchval("SELECT pg_try_advisory_lock(hashtext('assay.migrations'))")):
                if time.monotonic() > ends:
                    message = f"migrating {service}: another migration of this database is still going on"
                    raise MigrationFailedError(message)
                time.sleep(LOOK_SECONDS)
            yield
        finally:
            run(connection.close(timeout=CONNECT_SECONDS))


def _for_dbmate(url: str) -> str:
    parts = urlsplit(url)
    # libpq tries TLS and does without; dbmate's driver knows no such mode, so what the URL doesn't ask for is not tried.
    query = urlencode({"sslmode": "disable", **dict(parse_qsl(parts.query))})
    return urlunsplit(parts._replace(scheme="postgres", query=query))


def main() -> None:
    """Migrates one service."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service")
    migrate(parser.parse_args().service, os.environ["ASSAY_POSTGRES_URL"])


if __name__ == "__main__":
    main()
