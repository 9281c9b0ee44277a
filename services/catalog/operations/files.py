"""Keeping files."""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from services.catalog import file_types
from services.catalog.entities.files import File
from services.catalog.multipart import Upload
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.store import files as store
from shared.errors import Invalid
from shared.ids import new_id
from shared.postgres import Connection as Sql, Database


@dataclass(frozen=True)
class Files:
    """What can be done with files."""

    database: Database
    now: Clock

    async def upload(self, workspace: UUID, upload: Upload, creation: Creation[File, Answer]) -> Answer:
        """Stores a file. Raises Invalid for a type that isn't allowed."""
        mime_type = file_types.mime_type(upload)
        if mime_type is None:
            raise Invalid({"file": f"must be one of {', '.join(file_types.EXTENSIONS.values())}, by its content"})
        content = upload.content
        made = File(new_id(), workspace, hashlib.sha256(content).digest(), mime_type, len(content), self.now())

        async def make(sql: Sql) -> File:
            return await store.keep(sql, made, content)

        return await creation.once(self.database, make)
