"""Process 1 of the services' image: `catalog`, `runner`, `scoring`, `reporting`, `migrate [SERVICE ...]`,
`restored [SERVICE ...]`, `admin ...`.
"""

import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

from deploy.local import restored
from deploy.local.migrate import MigrationFailedError, migrate
from deploy.local.postgres import SERVICES
from shared.topics import published_by

WRONG_USAGE = 2
PRODUCERS = tuple(service for service in SERVICES if published_by(service))
"""Who has an outbox, and so something to begin anew after a restore."""
USAGE = f"usage: {'|'.join(SERVICES)} | migrate [SERVICE ...] | restored [{'|'.join(PRODUCERS)} ...] | admin ..."


class UnknownAddressError(RuntimeError):
    """A schema is to be migrated, but no URL of its role was given."""


def main(words: Sequence[str]) -> int:
    """Does what the first word says; returns the exit status, or doesn't return while a service serves."""
    # Process 1 has no default actions: until a service's own handler stands, SIGTERM would be ignored.
    signal.signal(signal.SIGTERM, _end)
    command, *rest = words or [""]
    if command in SERVICES and not rest:
        _become(f"services.{command}", [])
    elif command == "admin":
        _become("services.catalog.admin", rest)
    elif command == "migrate" and set(rest) <= set(SERVICES):
        return _migrated(rest or SERVICES)
    elif command == "restored" and set(rest) <= set(PRODUCERS):
        return _begun_anew(rest or PRODUCERS)
    else:
        sys.stderr.write(f"{USAGE}\n")
        return WRONG_USAGE
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _become(module: str, arguments: Sequence[str]) -> None:
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _migrated(services: Sequence[str]) -> int:
    try:
        for service, url in [(service, role_url(service, services, os.environ)) for service in services]:
            migrate(service, url)
            sys.stdout.write(f"{service}: its schema is up to date\n")
    except (MigrationFailedError, UnknownAddressError) as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


def _begun_anew(services: Sequence[str]) -> int:
    try:
        for service, url in [(service, role_url(service, services, os.environ)) for service in services]:
            heads = restored.begin(service, url)
            sys.stdout.write(f"{service}: {len(heads)} topics go on beyond every number that was ever heard\n")
    except (restored.NotBegunError, UnknownAddressError) as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


def role_url(service: str, services: Sequence[str], environ: Mapping[str, str]) -> str:
    """ASSAY_<SERVICE>_POSTGRES_URL; for one service alone ASSAY_POSTGRES_URL will do. Raises UnknownAddressError."""
    name = f"ASSAY_{service.upper()}_POSTGRES_URL"
    url = environ.get(name) or (environ.get("ASSAY_POSTGRES_URL") if len(services) == 1 else None)
    if not url:
        raise UnknownAddressError(f"{name} is missing")
    return url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
