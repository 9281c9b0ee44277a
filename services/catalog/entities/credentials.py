"""Credentials of a workspace: an API token, or a pair of keys. Only their hashes are kept."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

TOKEN = "token"  # noqa: S105 the name of a kind
PAIR = "pair"


@dataclass(frozen=True)
class Credential:
    """What is remembered of a token or a pair."""

    id: UUID
    workspace_id: UUID
    kind: str
    hash: bytes
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None = None


def new_token() -> str:
    """An API token with 256 random bits. It holds no dot, by which a JWT is told from it."""
    return f"assay_{secrets.token_urlsafe(32)}"


def new_pair() -> tuple[str, str]:
    """An API key and its secret key."""
    return f"ak_{secrets.token_urlsafe(16)}", f"sk_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> bytes:
    """What a token is found by. A plain hash is enough for 256 random bits."""
    return hashlib.sha256(f"{TOKEN}\0{token}".encode()).digest()


def pair_hash(api_key: str, secret_key: str) -> bytes:
    """What a pair is found by."""
    return hashlib.sha256(f"{PAIR}\0{api_key}\0{secret_key}".encode()).digest()
