"""Brings a service's schema up to date: `python -m deploy.local.migrate SERVICE`, its URL in ASSAY_POSTGRES_URL."""

import argparse
import os
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from deploy.local import binaries


class MigrationFailedError(RuntimeError):
    """dbmate refused; the message is its own output."""


def migrations_of(service: str) -> Path:
    """The folder of a service's numbered SQL files."""
    return binaries.ROOT / "services" / service / "migrations"


def migrate(service: str, url: str) -> None:
    """Applies what is missing, as the service's own role and in its own schema. Safe to call at any time.

    `url` is the libpq URL of the service's role. Raises MigrationFailedError. Concurrent calls wait for each other.
    """
    folder = migrations_of(service)
    options = ["--no-dump-schema", "--migration-lock", "--migrations-table", f"{service}.schema_migrations"]
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
