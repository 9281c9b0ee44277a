"""A connection: how a target is reached."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.faults import Faults

KINDS = ("openai", "http", "grpc", "builtin")
BUILTIN = "builtin"
BUILTIN_MODELS = ("echo", "answerer-good", "answerer-basic")
SCHEMES = {"openai": ("http", "https"), "http": ("http", "https"), "grpc": ("http", "https", "grpc", "grpcs")}
MAX_URL = 2048
MAX_MODEL = 255
MAX_KEY = 4096
MAX_CONCURRENCY = 10_000
MAX_PER_MINUTE = 1_000_000
MAX_TIMEOUT_MS = 600_000
UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True)
class Sealed:
    """An encrypted text, and the id of the key that opens it."""

    key_id: str
    box: bytes


@dataclass(frozen=True)
class Settings:
    """What a caller says about a connection, the secret aside."""

    name: str
    kind: str
    base_url: str | None = None
    model: str | None = None
    max_concurrency: int = 8
    requests_per_minute: int | None = None
    timeout_ms: int = 60_000

    def checked(self) -> "Settings":
        """These settings with `base_url` in its one spelling. Raises Invalid naming each wrong field."""
        faults.refuse(self.faults())
        return replace(self, base_url=_spelled(self.kind, self.base_url))

    def faults(self) -> Faults:
        """What is wrong, by field."""
        return {
            **faults.name(self.name),
            **faults.one_of("kind", self.kind, KINDS),
            **_address_faults(self.kind, self.base_url),
            **model_faults(self.kind, self.model),
            **faults.within("max_concurrency", self.max_concurrency, 1, MAX_CONCURRENCY),
            **faults.within("requests_per_minute", self.requests_per_minute, 1, MAX_PER_MINUTE),
            **faults.within("timeout_ms", self.timeout_ms, 1, MAX_TIMEOUT_MS),
        }


@dataclass(frozen=True)
class Connection:
    """A connection of a workspace. `revision` grows with every change."""

    id: UUID
    workspace_id: UUID
    settings: Settings
    secret: Sealed | None
    revision: int
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "Connection":
        """With these settings changed. Raises Invalid if they don't go together.

        A secret stays with the server that it was given for: pointed at another one, the connection has none until it is
        given again. Else whoever may change a connection could have its key sent to a server of his own.
        """
        settings = replace(self.settings, **changes).checked()
        secret = self.secret if _origin(settings.base_url) == _origin(self.settings.base_url) else None
        return replace(self, settings=settings, secret=secret, revision=self.revision + 1, updated_at=now)


def model_faults(kind: str, model: str | None) -> Faults:
    """A connection's model; `builtin` has a few, and needs one."""
    if kind == BUILTIN and model not in BUILTIN_MODELS:
        return {"model": f"must be one of {', '.join(BUILTIN_MODELS)}"}
    return faults.length("model", model, MAX_MODEL)


def secret_faults(api_key: str | None) -> Faults:
    """A provider's key; it becomes a header, so it holds no white space."""
    if api_key and UNPRINTABLE.search(api_key):
        return {"api_key": "must not contain white space or control characters"}
    return faults.length("api_key", api_key, MAX_KEY)


def _address_faults(kind: str, base_url: str | None) -> Faults:
    if kind not in KINDS:
        return {}
    if kind == BUILTIN:
        return {"base_url": "must be absent for builtin"} if base_url is not None else {}
    if base_url is None:
        return {"base_url": "is required"}
    fault = url_fault(base_url, SCHEMES[kind])
    if fault is None and kind == "openai" and not base_url.rstrip("/").endswith("/v1"):
        fault = "must end in /v1"
    return {"base_url": fault} if fault else {}


def url_fault(url: str, schemes: tuple[str, ...]) -> str | None:
    """What keeps a text from being an absolute URL without user, password and fragment; None if nothing does."""
    if len(url) > MAX_URL:
        return f"must have at most {MAX_URL} characters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "must be an absolute URL"
    if UNPRINTABLE.search(url) or parts.scheme not in schemes or not host:
        return f"must be an absolute URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if parts.username is not None or parts.password is not None or "#" in url:
        return "must not hold a user, a password or a fragment"
    return None


def _origin(url: str | None) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url or "")
    return parts.scheme, parts.hostname, parts.port


def _spelled(kind: str, base_url: str | None) -> str | None:
    return base_url.rstrip("/") if base_url and kind == "openai" else base_url
