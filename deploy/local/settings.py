"""What a person may set for the embedded stack, in the environment or in a file `.env` at the root."""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import binaries

DEFAULTS: Mapping[str, str] = {
    "ASSAY_LEASE_SECONDS": "15",
    # Whoever runs the suite on his own machine wants to evaluate what runs on it. The chart opens nothing.
    "ASSAY_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
    "ASSAY_ALLOWED_ORIGINS": "",
    "ASSAY_LOG_LEVEL": "info",
}
PREFERRED_PORTS: Mapping[str, int] = {"gateway": 8080, "postgres": 5432, "nats": 4222}
MOST_INSTANCES = 32
LAST_PORT = 65_535

_PORT = re.compile(r"ASSAY_([A-Z0-9_]+)_PORT")


class InvalidSettingsError(ValueError):
    """Some settings cannot be used; the message names each of them."""


@dataclass(frozen=True)
class Settings:
    """How many workers, on which ports, and what the services are told beside what the stack itself knows."""

    runners: int = 1
    scorers: int = 1
    ports: Mapping[str, int] = field(default_factory=dict)
    """Wanted ports by process name (`gateway`, `postgres`, `runner-1`, `runner-1-metrics`); others are chosen."""
    passed: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    """ASSAY_ variables that every service receives as they are."""


def default_directory() -> Path:
    """Where the stack keeps its state: ASSAY_LOCAL_DIR, else .local in the repository."""
    return Path(os.environ.get("ASSAY_LOCAL_DIR") or binaries.ROOT / ".local").absolute()


def read_settings(file: Path = binaries.ROOT / ".env", environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `file` and the environment, which wins. Raises InvalidSettingsError."""
    text = file.read_text() if file.is_file() else ""
    return parse({**parse_env_file(text), **environ})


def parse_env_file(text: str) -> dict[str, str]:
    """`KEY=VALUE` lines, quoted as in a shell; `export`, empty lines and comments are allowed.

    Raises InvalidSettingsError with the number of a line that is none of these.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            words = [word for word in shlex.split(line, comments=True) if word != "export"]
        except ValueError as error:
            raise InvalidSettingsError(f".env, line {number}: {error}") from error
        for word in words:
            name, separator, value = word.partition("=")
            if not separator or not name.isidentifier():
                raise InvalidSettingsError(f".env, line {number}: expected NAME=VALUE, not {word!r}")
            found[name] = value
    return found


def parse(variables: Mapping[str, str]) -> Settings:
    """Settings from variables. Raises InvalidSettingsError that names every one that cannot be used."""
    wrong: list[str] = []
    ports = {
        match[1].lower().replace("_", "-"): _whole(variables, name, LAST_PORT, wrong)
        for name in variables
        if (match := _PORT.fullmatch(name)) and variables[name]
    }
    given = {
        name: value for name, value in variables.items() if name.startswith("ASSAY_") and name not in _OWN and not _PORT.fullmatch(name)
    }
    settings = Settings(
        runners=_whole(variables, "ASSAY_RUNNERS", MOST_INSTANCES, wrong),
        scorers=_whole(variables, "ASSAY_SCORERS", MOST_INSTANCES, wrong),
        ports=ports,
        passed={**DEFAULTS, **given},
    )
    if wrong:
        raise InvalidSettingsError("; ".join(wrong))
    return settings


def _whole(variables: Mapping[str, str], name: str, most: int, wrong: list[str]) -> int:
    text = variables.get(name) or "1"
    if text.isdecimal() and 1 <= int(text) <= most:
        return int(text)
    wrong.append(f"{name} must be a whole number from 1 to {most}, not {text!r}")
    return 1


# What `make up` itself writes or decides. A shell that has sourced .local/env must not hand its credentials to the services.
_OWN = frozenset({
    *("ASSAY_RUNNERS", "ASSAY_SCORERS", "ASSAY_LOCAL_DIR", "ASSAY_STACK", "ASSAY_PROCESS"),
    *("ASSAY_URL", "ASSAY_GRPC", "ASSAY_TOKEN", "ASSAY_API_KEY", "ASSAY_SECRET_KEY", "ASSAY_JWT", "ASSAY_PROJECT_ID"),
    *("ASSAY_WORKSPACE_ID", "ASSAY_PIDS", "ASSAY_DATABASE_URL", "ASSAY_NATS_STORE", "ASSAY_OTHER_TOKEN", "ASSAY_PLAIN_TOKEN"),
})  # fmt: skip
