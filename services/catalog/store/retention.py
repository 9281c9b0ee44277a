"""What may be forgotten, of all workspaces, a slice at a time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from shared.postgres import Connection as Sql

CASE_SLICE = 5000
FILE_SLICE = 500  # looked at


async def prune_cases(sql: Sql) -> int:
    """Rows of cases that were closed more than a day ago: no run freezes a revision that old any more. Returns how many went."""
    return _count(
        await sql.execute(
            """
            DELETE FROM test_cases WHERE (test_set_id, id, from_rev) IN (
              SELECT test_set_id, id, from_rev FROM test_cases
              WHERE closed_at < now() - interval '24 hours' ORDER BY closed_at LIMIT $1 FOR UPDATE SKIP LOCKED)
            """,
            CASE_SLICE,
        )
    )


@dataclass(frozen=True)
class Uploaded:
    """A file's place in the order of uploads."""

    at: datetime
    id: UUID


FIRST, LAST = Uploaded(datetime.min.replace(tzinfo=UTC), UUID(int=0)), Uploaded(datetime.max.replace(tzinfo=UTC), UUID(int=0))


async def end_of_files(sql: Sql, after: Uploaded) -> Uploaded | None:
    """The last of the next slice of files that were uploaded more than a day ago; None if there are fewer."""
    row = await sql.fetchrow(
        """
        SELECT uploaded_at, id FROM files WHERE uploaded_at < now() - interval '24 hours' AND (uploaded_at, id) > ($1, $2)
        ORDER BY uploaded_at, id LIMIT 1 OFFSET $3
        """,
        after.at,
        after.id,
        FILE_SLICE - 1,
    )
    return None if row is None else Uploaded(row["uploaded_at"], row["id"])


async def prune_files(sql: Sql, after: Uploaded = FIRST, upto: Uploaded | None = None) -> None:
    """Of the files between two places, those that no row of a case names a day after they were uploaded, and contents that no file points to then."""
    digests = await sql.fetch(
        """
        DELETE FROM files WHERE (workspace_id, id) IN (
          SELECT workspace_id, id FROM files
          WHERE uploaded_at < now() - interval '24 hours' AND (uploaded_at, id) > ($1, $2) AND (uploaded_at, id) <= ($3, $4)
            AND NOT EXISTS (SELECT FROM test_cases AS named WHERE named.file_id = files.id AND named.workspace_id = files.workspace_id)
          FOR UPDATE SKIP LOCKED)
        RETURNING sha256
        """,
        after.at,
        after.id,
        LAST.at if upto is None else upto.at,
        LAST.id if upto is None else upto.id,
    )
    freed = [row["sha256"] for row in digests]
    # An upload of the same content may be under way: once its transaction is over, the delete below sees its file.
    await sql.execute("SELECT FROM blobs WHERE sha256 = ANY($1::bytea[]) ORDER BY sha256 FOR UPDATE", freed)
    await sql.execute(
        """
        DELETE FROM blobs WHERE sha256 = ANY($1::bytea[]) AND NOT EXISTS (SELECT FROM files WHERE files.sha256 = blobs.sha256)
        """,
        freed,
    )


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
