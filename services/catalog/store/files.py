"""Files: contents once, and what each workspace knows of them."""

from dataclasses import replace
from uuid import UUID

from services.catalog.entities.files import File
from shared.errors import NotFound
from shared.postgres import Connection as Sql

KIND = "file"


async def keep(sql: Sql, made: File, content: bytes) -> File:
    """Stores a file; the same content of the same type again is the same file, uploaded now."""
    # DO UPDATE rather than DO NOTHING: it locks the row, so that it isn't pruned before the file points to it.
    await sql.execute(
        "INSERT INTO blobs (sha256, content) VALUES ($1, $2) ON CONFLICT (sha256) DO UPDATE SET sha256 = excluded.sha256",
        made.sha256,
        content,
    )
    kept = await sql.fetchval(
        """
        INSERT INTO files (workspace_id, id, sha256, mime_type, size_bytes, uploaded_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (workspace_id, sha256, mime_type) DO UPDATE SET uploaded_at = excluded.uploaded_at
        RETURNING id
        """,
        made.workspace_id,
        made.id,
        made.sha256,
        made.mime_type,
        made.size_bytes,
        made.uploaded_at,
    )
    return replace(made, id=kept)


async def get(sql: Sql, workspace: UUID, file_id: UUID) -> tuple[File, bytes]:
    """A file and its content. Raises NotFound."""
    row = await sql.fetchrow(
        """
        SELECT id, workspace_id, files.sha256, mime_type, size_bytes, uploaded_at, blobs.content
        FROM files JOIN blobs ON blobs.sha256 = files.sha256 WHERE workspace_id = $1 AND id = $2
        """,
        workspace,
        file_id,
    )
    if row is None:
        raise NotFound(KIND)
    said = dict(row)
    content = said.pop("content")
    return File(**said), content
