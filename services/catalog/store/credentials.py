"""API tokens and key pairs, by their hashes."""

from datetime import datetime
from uuid import UUID

from services.catalog.entities.credentials import Credential
from shared.errors import NotFound
from shared.postgres import Connection as Sql


async def insert(sql: Sql, credential: Credential) -> None:
    """Adds a credential."""
    await sql.execute(
        "INSERT INTO credentials (id, workspace_id, kind, hash, scopes, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        credential.id,
        credential.workspace_id,
        credential.kind,
        credential.hash,
        list(credential.scopes),
        credential.created_at,
    )


async def by_hash(sql: Sql, digest: bytes) -> Credential | None:
    """The valid credential with this hash. It has no workspace to ask for yet: this is what tells it."""
    row = await sql.fetchrow(
        "SELECT id, workspace_id, kind, hash, scopes, created_at, revoked_at FROM credentials WHERE hash = $1 AND revoked_at IS NULL",
        digest,
    )
    return None if row is None else Credential(**{**row, "scopes": tuple(row["scopes"])})


async def revoke(sql: Sql, credential_id: UUID, now: datetime) -> None:
    """Ends a credential. Raises NotFound if there is none."""
    done = await sql.fetchval(
        "UPDATE credentials SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING true", credential_id, now
    )
    if not done:
        raise NotFound("credential")
