"""Making, changing and removing evaluators; the registry of templates tells what is wrong with one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from assay.scoring.internal.v1.templates_pb2 import CheckEvaluatorsResponse, Template
from services.catalog.clients import Peers
from services.catalog.convert import evaluators as convert
from services.catalog.entities import faults
from services.catalog.entities.evaluators import Evaluator, Rule
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.store import evaluators as store, workspaces
from shared.ids import new_id
from shared.postgres import Connection as Sql, Database


@dataclass(frozen=True)
class Evaluators:
    """What can be done with evaluators."""

    database: Database
    peers: Peers
    now: Clock

    async def create(self, workspace: UUID, project: UUID, said: Rule, creation: Creation[Evaluator, Answer]) -> Answer:
        """Adds a project's evaluator. Raises NotFound for the project, Invalid naming each wrong field, NameTaken."""
        async with self.database.connection() as sql:
            await workspaces.require_project(sql, workspace, project)
        made = self.made(workspace, project, await self.checked(workspace, [said]))

        async def make(sql: Sql) -> Evaluator:
            await store.insert(sql, made)
            return made[0]

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, project: UUID | None, evaluator_id: UUID, changes: Mapping[str, Any]) -> Evaluator:
        """Changes what is given. Raises NotFound, Invalid naming each wrong field, NameTaken."""
        async with self.database.connection() as sql:
            await _require(sql, workspace, project)
            found = await store.get(sql, workspace, project, evaluator_id)
        while True:
            # Asked outside of the transaction, so that no lock waits for scoring.
            [rule] = await self.checked(workspace, [replace(found.rule, **changes)])
            settled = {**changes, **({"template": rule.template} if "template" in changes else {})}
            async with self.database.transaction() as sql:
                before, found = found, await store.lock(sql, workspace, project, evaluator_id)
                if found.rule == before.rule:
                    changed = found.changed(replace(found.rule, **settled), self.now())
                    await store.update(sql, changed)
                    return changed
            # Somebody changed it meanwhile, and both changes together were checked by nobody yet.

    async def delete(self, workspace: UUID, project: UUID | None, evaluator_id: UUID) -> None:
        """Removes an evaluator; runs keep what they judged by. Raises NotFound."""
        async with self.database.transaction() as sql:
            await _require(sql, workspace, project)
            await store.delete(sql, workspace, project, evaluator_id)

    async def checked(self, workspace: UUID, rules: Sequence[Rule], paths: Sequence[str] = ()) -> list[Rule]:
        """These rules, each template by its name and with the passing score that holds.

        `paths`: what stands before the fields of each in a fault, as "evaluationsConfig[0]."; none: nothing.
        Raises Invalid naming each wrong field.
        """
        prefixes = paths or [""] * len(rules)
        wrong = {f"{prefix}{name}": fault for prefix, rule in zip(prefixes, rules, strict=True) for name, fault in rule.faults().items()}
        found = await self.peers.check_evaluators(workspace, [convert.part(rule) for rule in rules]) if rules else CheckEvaluatorsResponse()
        for fault in found.faults:
            wrong.setdefault(f"{prefixes[fault.index]}{fault.field}", fault.message)
        faults.refuse(wrong)
        return [_settled(rule, template) for rule, template in zip(rules, found.templates, strict=True)]

    def made(self, workspace: UUID, project: UUID | None, rules: Sequence[Rule]) -> list[Evaluator]:
        """New evaluators with these rules, which aren't stored yet."""
        now = self.now()
        return [Evaluator(new_id(), workspace, project, rule, now, now) for rule in rules]


async def _require(sql: Sql, workspace: UUID, project: UUID | None) -> None:
    if project is not None:
        await workspaces.require_project(sql, workspace, project)


def _settled(rule: Rule, template: Template) -> Rule:
    score = template.passing_score if rule.passing_score is None else rule.passing_score
    name = template.name if rule.name == rule.template else rule.name
    return replace(rule, name=name, template=template.name, passing_score=score)
