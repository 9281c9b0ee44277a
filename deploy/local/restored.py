"""Tells restored databases that they are: `python -m deploy.local.restored SERVICE`, its URL in ASSAY_POSTGRES_URL."""

import argparse
import asyncio
import os

import asyncpg

from shared.errors import InUse
from shared.restored import begin_anew

CONNECT_SECONDS = 10


class NotBegunError(RuntimeError):
    """The service still runs, Postgres can't be reached, or the schema is not there; nothing was changed."""


def begin(service: str, url: str) -> dict[str, int]:
    """See shared/restored.py. `url` is the libpq URL of the service's role. Raises NotBegunError."""
    try:
        return asyncio.run(_begin(service, url))
    except InUse as fault:
        raise NotBegunError(str(fault)) from fault
    except asyncpg.UndefinedTableError as fault:
        raise NotBegunError(f"{service} has no such outbox here ({fault}); restore its schema and migrate it first") from fault
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise NotBegunError(f"{service}: {fault or type(fault).__name__}") from fault


async def _begin(service: str, url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        return await begin_anew(connection, service)
    finally:
        await connection.close()


def main() -> None:
    """Begins one service anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service")
    begin(parser.parse_args().service, os.environ["ASSAY_POSTGRES_URL"])


if __name__ == "__main__":
    main()
