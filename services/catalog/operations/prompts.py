"""Making, changing and removing prompts, their versions and their applications."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from assay.catalog.internal.v1.events_pb2 import SubjectDeleted
from services.catalog.entities.prompt_versions import PromptVersion, Wording
from services.catalog.entities.prompts import Application, Heading, Prompt, Use
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.store import connections, prompt_applications, prompt_versions, prompts as store
from shared import outbox
from shared.errors import Invalid
from shared.ids import new_id
from shared.outbox import Event
from shared.postgres import Connection as Sql, Database
from shared.topics import SUBJECT_DELETED


@dataclass(frozen=True)
class Prompts:
    """What can be done with prompts."""

    database: Database
    now: Clock

    async def create(self, workspace: UUID, said: Heading, creation: Creation[Prompt, Answer]) -> Answer:
        """Adds a prompt. Raises Invalid naming each wrong field, NotFound for the project."""
        now = self.now()
        made = Prompt(new_id(), workspace, said.checked(), now, now)

        async def make(sql: Sql) -> Prompt:
            await store.insert(sql, made)
            return made

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, prompt_id: UUID, changes: Mapping[str, Any]) -> Prompt:
        """Changes what is given. Raises NotFound for the prompt or its new project, Invalid naming each wrong field."""
        async with self.database.transaction() as sql:
            changed = (await store.lock(sql, workspace, prompt_id)).changed(changes, self.now())
            await store.update(sql, changed)
        return changed

    async def delete(self, workspace: UUID, prompt_id: UUID) -> None:
        """Deletes a prompt with all that belongs to it. Raises NotFound.

        The runs of its cases go by event alone: they are read through the prompt, and that is unknown from now on.
        """
        async with self.database.transaction() as sql:
            await store.lock(sql, workspace, prompt_id)
            cases = await store.delete(sql, workspace, prompt_id, self.now())
            await outbox.append(sql, [case_deleted(workspace, case_id) for case_id in cases])


@dataclass(frozen=True)
class PromptVersions:
    """What can be done with versions of prompts."""

    database: Database
    now: Clock

    async def create(self, workspace: UUID, prompt_id: UUID, said: Mapping[str, Any], creation: Creation[PromptVersion, Answer]) -> Answer:
        """Adds a version. Raises Invalid naming each wrong field, NotFound for the prompt or the connection."""
        now = self.now()

        async def make(sql: Sql) -> PromptVersion:
            number = await store.next_version(sql, workspace, prompt_id)
            wording = Wording(**{**said, "title": said["title"] or f"Version {number}"})
            made = PromptVersion(new_id(), workspace, prompt_id, wording.checked(), now, now)
            await _check_model(sql, made)
            await prompt_versions.insert(sql, made)
            return made

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, version_id: UUID, changes: Mapping[str, Any]) -> PromptVersion:
        """Changes what is given. Raises NotFound for the version or the connection, Invalid naming each wrong field."""
        async with self.database.transaction() as sql:
            prompt_id = (await prompt_versions.get(sql, workspace, version_id)).prompt_id
            await store.lock(sql, workspace, prompt_id)
            changed = (await prompt_versions.get(sql, workspace, version_id)).changed(changes, self.now())
            await _check_model(sql, changed)
            await prompt_versions.update(sql, changed)
        return changed

    async def delete(self, workspace: UUID, version_id: UUID) -> None:
        """Deletes a version. Raises NotFound."""
        async with self.database.transaction() as sql:
            await prompt_versions.delete(sql, workspace, version_id, self.now())


@dataclass(frozen=True)
class PromptApplications:
    """What can be done with applications of prompts."""

    database: Database
    now: Clock

    async def create(self, workspace: UUID, said: Use, creation: Creation[Application, Answer]) -> Answer:
        """Adds an application. Raises Invalid naming each wrong field, NotFound for the prompt or the version."""
        now = self.now()
        made = Application(new_id(), workspace, said.checked(), now, now)

        async def make(sql: Sql) -> Application:
            await store.hold(sql, workspace, said.prompt_id)
            await _check_version(sql, made)
            await prompt_applications.insert(sql, made)
            return made

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, application_id: UUID, changes: Mapping[str, Any]) -> Application:
        """Changes what is given. Raises NotFound for the application or its new version, Invalid naming each wrong field."""
        async with self.database.transaction() as sql:
            changed = (await prompt_applications.lock(sql, workspace, application_id)).changed(changes, self.now())
            if "version_id" in changes:
                await _check_version(sql, changed)
            await prompt_applications.update(sql, changed)
        return changed

    async def delete(self, workspace: UUID, application_id: UUID) -> None:
        """Deletes an application. Raises NotFound."""
        async with self.database.transaction() as sql:
            await prompt_applications.delete(sql, workspace, application_id, self.now())


def case_deleted(workspace: UUID, case_id: UUID) -> Event:
    """What is told of a test case that was deleted."""
    gone = SubjectDeleted(workspace_id=str(workspace), subject_id=str(case_id))
    return Event(SUBJECT_DELETED, gone, key=f"{SUBJECT_DELETED.name}:{case_id}")


async def _check_model(sql: Sql, version: PromptVersion) -> None:
    named = version.wording.connection_id
    if named is not None:
        version.wording.model_on(await connections.get(sql, version.workspace_id, named))


async def _check_version(sql: Sql, application: Application) -> None:
    version = await prompt_versions.get(sql, application.workspace_id, application.use.version_id)
    if version.prompt_id != application.use.prompt_id:
        raise Invalid({"promptVersionId": "must be a version of the same prompt"})
