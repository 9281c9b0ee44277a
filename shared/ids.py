"""Identifiers: UUIDv7, so that sorting by id is sorting by creation."""

from uuid import UUID

import uuid_utils.compat

from shared.errors import NotFound


def new_id() -> UUID:
    """A UUIDv7; within one process each is greater than the one before."""
    return uuid_utils.compat.uuid7()


def parse_id(text: str, kind: str) -> UUID:
    """The id in a path. Raises NotFound(kind) for a malformed one, so that it answers like an unknown one."""
    try:
        return canonical_id(text)
    except ValueError:
        raise NotFound(kind) from None


def canonical_id(text: str) -> UUID:
    """Reads a UUID in its usual 36-character form alone. Raises ValueError for anything else."""
    # UUID() also takes braces, spaces, urn: and hyphens anywhere, which would make several spellings of one resource.
    found = UUID(text)
    if str(found) != text.lower():
        raise ValueError(text)
    return found
