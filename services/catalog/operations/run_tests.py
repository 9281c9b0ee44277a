"""Making, changing, showing and removing run tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from assay.catalog.internal.v1.events_pb2 import SubjectDeleted
from services.catalog.clients import Peers
from services.catalog.entities import faults
from services.catalog.entities.evaluators import Evaluator, Rule
from services.catalog.entities.faults import Faults
from services.catalog.entities.run_tests import PENDING, RunTest, Wish, unknown
from services.catalog.entities.scenarios import Scenario
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.operations.evaluators import Evaluators
from services.catalog.operations.template_ids import TemplateIds
from services.catalog.store import agents, evaluators, run_tests as store, scenarios
from shared import outbox
from shared.errors import Invalid, NotFound
from shared.ids import new_id
from shared.outbox import Event
from shared.pages import Page, PageRequest
from shared.postgres import Connection as Sql, Database
from shared.topics import SUBJECT_DELETED

CONFIG = "evaluationsConfig"


@dataclass(frozen=True)
class Shown:
    """A run test with all that is told of it. `template_ids`: of its evaluators' templates, by name."""

    run_test: RunTest
    scenarios: Sequence[Scenario]
    evaluators: Sequence[Evaluator]
    template_ids: Mapping[str, str]
    status: str = PENDING


@dataclass(frozen=True)
class Checked:
    """A wish that the registry of templates has seen: the evaluators to be made, or what is wrong with them."""

    wish: Wish
    made: Sequence[Evaluator]
    faults: Faults
    template_ids: Mapping[str, str]


@dataclass(frozen=True)
class RunTests:
    """What can be done with run tests."""

    database: Database
    peers: Peers
    rules: Evaluators
    template_ids: TemplateIds
    now: Clock

    async def create(self, workspace: UUID, wish: Wish, creation: Creation[Shown, Answer]) -> Answer:
        """Adds a run test and the evaluators made along. Raises Invalid naming all that is wrong or unknown, NotFound, NameTaken."""
        checked = await self._checked(workspace, wish)

        async def make(sql: Sql) -> Shown:
            now = self.now()
            blank = RunTest(
                new_id(), workspace, "", "", UUID(int=0), UUID(int=0), (), (), (), tool_evaluation=False, created_at=now, updated_at=now
            )
            made = await self._settled(sql, blank, checked)
            await evaluators.insert(sql, checked.made)
            await store.insert(sql, made)
            return await _shown(sql, made, checked.template_ids)

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, run_test_id: UUID, wish: Wish) -> Shown:
        """Changes what is given. Raises NotFound, Invalid naming all that is wrong or unknown, NameTaken, Unavailable."""
        # Both are asked first: what can't be told any more after the change would be told as its failure.
        status = (await self.get(workspace, run_test_id)).status
        checked = await self._checked(workspace, wish)
        async with self.database.transaction() as sql:
            changed = await self._settled(sql, await store.lock(sql, workspace, run_test_id), checked)
            await evaluators.insert(sql, checked.made)
            await store.update(sql, changed)
            shown = await _shown(sql, changed, checked.template_ids)
        return Shown(changed, shown.scenarios, shown.evaluators, await self._ids_of(workspace, shown.evaluators), status)

    async def add_evaluators(self, workspace: UUID, run_test_id: UUID, rules: Sequence[Rule], creation: Creation[Shown, Answer]) -> Answer:
        """Makes evaluators for a run test; shows those alone. Raises NotFound, Invalid naming all that is wrong."""
        async with self.database.connection() as sql:
            await store.get(sql, workspace, run_test_id)
        checked = await self._checked(workspace, Wish(rules=tuple(rules)))
        faults.refuse({} if rules else {CONFIG: "must not be empty"})
        faults.refuse({**checked.wish.all_faults(), **checked.faults})

        async def make(sql: Sql) -> Shown:
            found = await store.lock(sql, workspace, run_test_id)
            await evaluators.insert(sql, checked.made)
            changed = found.judged_by([one.id for one in checked.made], self.now())
            await store.update(sql, changed)
            return Shown(changed, (), checked.made, checked.template_ids)

        return await creation.once(self.database, make)

    async def get(self, workspace: UUID, run_test_id: UUID) -> Shown:
        """One run test as it is now. Raises NotFound, and Unavailable while its status can't be told."""
        async with self.database.connection() as sql:
            found = await _shown(sql, await store.get(sql, workspace, run_test_id), {})
        return (await self._told(workspace, [found]))[0]

    async def page(self, workspace: UUID, request: PageRequest, search: str) -> Page[Shown]:
        """A page of run tests. Raises Unavailable while their status can't be told."""
        async with self.database.connection() as sql:
            found = await store.page(sql, workspace, request, search)
            shown = await _all_shown(sql, workspace, found.items)
        return Page(await self._told(workspace, shown), found.total, request)

    async def delete(self, workspace: UUID, run_test_id: UUID) -> None:
        """Removes a run test, and tells the owners of its runs before it returns. Raises NotFound."""
        gone = SubjectDeleted(workspace_id=str(workspace), subject_id=str(run_test_id))
        async with self.database.transaction() as sql:
            await store.delete(sql, workspace, run_test_id)
            await outbox.append(sql, [Event(SUBJECT_DELETED, gone, key=f"{SUBJECT_DELETED.name}:{run_test_id}")])
        await self.peers.forget_subject(workspace, run_test_id)

    async def _checked(self, workspace: UUID, wish: Wish) -> Checked:
        paths = [f"{CONFIG}[{index}]." for index in range(len(wish.rules))]
        try:
            rules = await self.rules.checked(workspace, wish.rules, paths)
        except Invalid as found:
            return Checked(wish, (), _template_faults(wish.rules, found.fields), {})
        made = self.rules.made(workspace, None, rules)
        async with self.database.connection() as sql:
            known = await evaluators.many(sql, workspace, None, wish.evaluator_ids or ())
        return Checked(wish, made, {}, await self._ids_of(workspace, [*made, *known]))

    async def _settled(self, sql: Sql, before: RunTest, checked: Checked) -> RunTest:
        """The run test as wished; whatever is wrong or unknown is named at once."""
        wish, workspace = checked.wish, before.workspace_id
        faults.refuse({**await _unknown(sql, workspace, wish), **wish.all_faults(), **checked.faults})
        changed = before.changed(wish, await _version(sql, before, wish), self.now())
        # Rows that were chosen before go on being chosen: of other scenarios they would be no rows at all.
        if changed.row_ids and (wish.row_ids, wish.scenario_ids) != (None, None):
            chosen = await scenarios.many(sql, workspace, changed.scenario_ids)
            datasets = [one.outline.dataset_id for one in chosen if one.outline.dataset_id]
            await scenarios.require_rows(sql, workspace, datasets, changed.row_ids)
        return changed.judged_by([one.id for one in checked.made], self.now())

    async def _told(self, workspace: UUID, found: Sequence[Shown]) -> list[Shown]:
        if not found:
            return []
        statuses = await self.peers.newest_statuses(workspace, [one.run_test.id for one in found])
        ids = await self._ids_of(workspace, [evaluator for one in found for evaluator in one.evaluators])
        return [Shown(one.run_test, one.scenarios, one.evaluators, ids, statuses.get(one.run_test.id, PENDING)) for one in found]

    async def _ids_of(self, workspace: UUID, judging: Sequence[Evaluator]) -> Mapping[str, str]:
        return await self.template_ids.of(workspace, [one.rule.template for one in judging])


async def _unknown(sql: Sql, workspace: UUID, wish: Wish) -> Faults:
    """Every scenario, evaluator and agent that isn't there."""
    wrong = {
        "scenarioIds": unknown([one.id for one in await scenarios.many(sql, workspace, wish.scenario_ids or ())], wish.scenario_ids or ()),
        "evalConfigIds": unknown(
            [one.id for one in await evaluators.many(sql, workspace, None, wish.evaluator_ids or ())], wish.evaluator_ids or ()
        ),
    }
    if wish.agent_id is not None:
        try:
            await agents.hold(sql, workspace, wish.agent_id)
        except NotFound:
            wrong["agentDefinitionId"] = unknown([], [wish.agent_id])
    return {field: fault for field, fault in wrong.items() if fault}


async def _version(sql: Sql, before: RunTest, wish: Wish) -> UUID:
    """The version that is to be tested: the one that is named, else that of before, or the active one of another agent. Raises NotFound."""
    agent_id = wish.agent_id or before.agent_id
    if wish.version_id is not None:
        return (await agents.get_version(sql, before.workspace_id, agent_id, wish.version_id)).id
    if agent_id == before.agent_id:
        return before.version_id
    return (await agents.get(sql, before.workspace_id, agent_id)).main.id


async def _shown(sql: Sql, run_test: RunTest, template_ids: Mapping[str, str]) -> Shown:
    workspace = run_test.workspace_id
    chosen = await scenarios.many(sql, workspace, run_test.scenario_ids)
    judging = await evaluators.many(sql, workspace, None, run_test.evaluator_ids)
    return Shown(run_test, chosen, judging, template_ids)


async def _all_shown(sql: Sql, workspace: UUID, found: Sequence[RunTest]) -> list[Shown]:
    """The same of a page, with one look for all scenarios and one for all evaluators."""
    wanted = {scenario_id for one in found for scenario_id in one.scenario_ids}
    judging = {evaluator_id for one in found for evaluator_id in one.evaluator_ids}
    scenarios_by_id = {one.id: one for one in await scenarios.many(sql, workspace, list(wanted))}
    evaluators_by_id = {one.id: one for one in await evaluators.many(sql, workspace, None, list(judging))}
    return [
        Shown(
            one,
            [scenarios_by_id[scenario_id] for scenario_id in one.scenario_ids if scenario_id in scenarios_by_id],
            [evaluators_by_id[evaluator_id] for evaluator_id in one.evaluator_ids if evaluator_id in evaluators_by_id],
            {},
        )
        for one in found
    ]


def _template_faults(rules: Sequence[Rule], found: Faults) -> Faults:
    """What the registry found; all unknown templates are named first and together, however many they are."""
    fields = {f"{CONFIG}[{index}].template": rule.template for index, rule in enumerate(rules)}
    missing = [field for field, template in fields.items() if field in found and not template]
    strange = [template for field, template in fields.items() if field in found and template]
    return {
        **({CONFIG: f"unknown templates: {', '.join(strange)}"} if strange else {}),
        **{f"{field}Id": "is required, or templateName" for field in missing},
        **{field: fault for field, fault in found.items() if field not in fields},
    }
