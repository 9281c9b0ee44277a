"""What may be forgotten, of all workspaces, a slice at a time. Each returns how many rows went."""

from shared.postgres import Connection as Sql

CASE_SLICE = 5000
FILE_SLICE = 100


async def prune_cases(sql: Sql) -> int:
    """Rows of cases that were closed more than a day ago: no run freezes a revision that old any more."""
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


async def prune_files(sql: Sql) -> int:
    """Files that no row of a case names a day after they were uploaded, and contents that no file points to then."""
    digests = await sql.fetch(
        """
        DELETE FROM files WHERE (workspace_id, id) IN (
          SELECT workspace_id, id FROM files
          WHERE uploaded_at < now() - interval '24 hours'
            AND NOT EXISTS (SELECT FROM test_cases AS named WHERE named.file_id = files.id AND named.workspace_id = files.workspace_id)
          LIMIT $1 FOR UPDATE SKIP LOCKED)
        RETURNING sha256
        """,
        FILE_SLICE,
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
    return len(digests)


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
