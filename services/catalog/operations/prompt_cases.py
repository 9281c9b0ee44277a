"""Making, changing, listing and removing the test cases of prompts."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from assay.reporting.internal.v1.reporting_pb2 import Generation
from services.catalog.clients import Peers
from services.catalog.entities.prompt_cases import CaseContent, PromptCase
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.operations.prompts import case_deleted
from services.catalog.store import prompt_applications, prompt_cases as store, prompts
from shared import outbox
from shared.errors import Invalid
from shared.ids import new_id
from shared.postgres import Connection as Sql, Database

FIRST = UUID(int=0)


@dataclass(frozen=True)
class NewCase:
    """A test case to be made; `place` stands before its fields where several are."""

    prompt_id: UUID
    content: CaseContent
    place: str = ""


@dataclass(frozen=True)
class Wanted:
    """Which test cases of a prompt: with `versions` those alone that have answers or generations of one of them."""

    prompt_id: UUID
    versions: frozenset[str] = frozenset()
    generations: bool = False


Found = tuple[PromptCase, Sequence[Generation] | None]


@dataclass(frozen=True)
class PromptCases:
    """What can be done with test cases of prompts."""

    database: Database
    peers: Peers
    now: Clock

    async def create(self, workspace: UUID, said: Sequence[NewCase], creation: Creation[Sequence[PromptCase], Answer]) -> Answer:
        """Adds them, all or none. Raises NotFound for a prompt or an application, Invalid naming each wrong field."""
        now = self.now()
        made = [PromptCase(new_id(), workspace, new.prompt_id, new.content, now, now) for new in said]

        async def make(sql: Sql) -> Sequence[PromptCase]:
            for prompt_id in sorted({new.prompt_id for new in said}):
                await prompts.hold(sql, workspace, prompt_id)
            await _check_applications(sql, workspace, said)
            await store.insert(sql, made)
            return made

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, case_id: UUID, changes: Mapping[str, Any]) -> PromptCase:
        """Changes what is given. Raises NotFound for the case or its new application, Invalid naming each wrong field."""
        async with self.database.transaction() as sql:
            changed = (await store.lock(sql, workspace, case_id)).changed(changes, self.now())
            if changes.get("application_id"):
                await _check_applications(sql, workspace, [NewCase(changed.prompt_id, changed.content)])
            await store.update(sql, changed)
        return changed

    async def delete(self, workspace: UUID, case_id: UUID) -> None:
        """Deletes a case, and tells the owners of its runs before it returns. Raises NotFound."""
        async with self.database.transaction() as sql:
            await store.delete(sql, workspace, case_id, self.now())
            await outbox.append(sql, [case_deleted(workspace, case_id)])
        await self.peers.forget_subject(workspace, case_id)

    async def matching(self, workspace: UUID, wanted: Wanted) -> AsyncIterator[Found]:
        """The cases that are wanted, oldest first, each with its generations if those are. Raises NotFound for the prompt."""
        async with self.database.connection() as sql:
            await prompts.get(sql, workspace, wanted.prompt_id)
        generations = await self._generations(workspace, wanted)
        after = FIRST
        while True:
            async with self.database.connection() as sql:
                batch = await store.batch(sql, workspace, wanted.prompt_id, after)
            for case in batch:
                of_case = generations.get(str(case.id), [])
                if not wanted.versions or of_case or wanted.versions & case.content.answered_versions:
                    yield case, of_case if wanted.generations else None
            if len(batch) < store.BATCH:
                return
            after = batch[-1].id

    async def _generations(self, workspace: UUID, wanted: Wanted) -> Mapping[str, Sequence[Generation]]:
        """By test case; nobody is asked where they make no difference."""
        by_case: dict[str, list[Generation]] = defaultdict(list)
        if wanted.generations or wanted.versions:
            async for generation in self.peers.generations(workspace, wanted.prompt_id, sorted(wanted.versions)):
                by_case[generation.test_case_id].append(generation)
        return by_case


async def _check_applications(sql: Sql, workspace: UUID, said: Sequence[NewCase]) -> None:
    known: dict[UUID, UUID] = {}
    for new in said:
        named = new.content.application_id
        if named is None:
            continue
        if named not in known:
            known[named] = (await prompt_applications.get(sql, workspace, named)).use.prompt_id
        if known[named] != new.prompt_id:
            raise Invalid({f"{new.place}promptApplicationId": "must be an application of the same prompt"})
