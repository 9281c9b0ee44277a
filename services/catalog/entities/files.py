"""A file that goes with test cases."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from shared.ids import canonical_id

PATH = "/v1/evaluation/files/"
MAX_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class File:
    """What a workspace knows of a stored content. `sha256` is its 32 bytes."""

    id: UUID
    workspace_id: UUID
    sha256: bytes
    mime_type: str
    size_bytes: int
    uploaded_at: datetime


def file_url(public_url: str, file_id: UUID) -> str:
    """Where a file is read."""
    return f"{public_url.rstrip('/')}{PATH}{file_id}"


def own_file_id(url: str) -> UUID | None:
    """The id of a file of ours that a URL or a bare path names. The origin doesn't matter: a gateway may have several names."""
    try:
        path = urlsplit(url).path
        return canonical_id(path.removeprefix(PATH)) if path.startswith(PATH) else None
    except ValueError:
        return None


def is_own_path(url: str) -> bool:
    """Whether this is the path of a file of ours, without an origin."""
    return url.startswith(PATH) and own_file_id(url) is not None
