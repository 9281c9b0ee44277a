"""What an execution of a run test executes: a conversation per scenario, or per row of a scenario's dataset."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

import asyncpg

from assay.catalog.internal.v1 import catalog_pb2, parts_pb2, subjects_pb2 as pb
from services.catalog.convert import evaluators as convert
from services.catalog.entities.agents import Version
from services.catalog.entities.evaluators import Evaluator
from services.catalog.entities.run_tests import RunTest
from services.catalog.entities.scenarios import DATASET, Scenario
from services.catalog.operations.assistant_test_subject import CONVERSATION, agent_target, simulator_target
from services.catalog.store import agents, evaluators, run_tests, scenarios
from shared.errors import Invalid
from shared.ids import parse_id
from shared.json_values import struct
from shared.postgres import Connection as Sql, Database

FAMILY = "run_test"
TOOL_EVALUATION = "tool_evaluation"
TOOL_TEMPLATE = "tool_call_accuracy"
EXPECTED_CALLS = "expected_tool_calls"


@dataclass(frozen=True)
class _Opened:
    """A run test as it is at one moment. `revisions`: of the datasets of its scenarios."""

    run_test: RunTest
    version: Version
    scenarios: Sequence[Scenario]
    evaluators: Sequence[Evaluator]
    revisions: dict[UUID, int]
    target: catalog_pb2.Target | None
    simulator: catalog_pb2.Target | None


@dataclass(frozen=True)
class RunTestSubject:
    """Opens the family `run_test`."""

    database: Database

    async def open(self, workspace_id: UUID, request: pb.OpenSubjectRequest) -> AsyncIterator[pb.SubjectPart]:
        """The run test and its cases. Raises NotFound for it or its version, Invalid naming all scenarios that it doesn't have.

        Rows of a dataset are those of the revision that it has now: no transaction spans them, and closed rows stay for a day.
        """
        run_test_id = parse_id(request.subject_id, run_tests.KIND)
        async with self.database.connection() as sql:
            found = await _opened(sql, await run_tests.get(sql, workspace_id, run_test_id), request)
        yield pb.SubjectPart(subject=_subject(found))
        for scenario in found.scenarios:
            if scenario.outline.kind != DATASET:
                yield _cases([_scenario_case(found, scenario)])
                continue
            async for rows in self._rows(found, scenario):
                yield _cases([_row_case(found, scenario, row) for row in rows])

    async def check(self, workspace_id: UUID, subject_id: str) -> None:
        """Raises NotFound if the workspace has no such run test."""
        run_test_id = parse_id(subject_id, run_tests.KIND)
        async with self.database.connection() as sql:
            await run_tests.get(sql, workspace_id, run_test_id)

    async def _rows(self, found: _Opened, scenario: Scenario) -> AsyncIterator[Sequence[asyncpg.Record]]:
        dataset_id = scenario.outline.dataset_id
        if dataset_id is None:
            return
        dataset, after = (dataset_id, found.revisions[dataset_id]), None
        while True:
            async with self.database.connection() as sql:
                rows = await scenarios.rows_at(sql, scenario.workspace_id, dataset, found.run_test.row_ids, after)
            if not rows:
                return
            yield rows
            after = rows[-1]["position"], rows[-1]["id"]


async def _opened(sql: Sql, run_test: RunTest, request: pb.OpenSubjectRequest) -> _Opened:
    workspace = run_test.workspace_id
    version_id = parse_id(request.version_id, agents.VERSION_KIND) if request.version_id else run_test.version_id
    version = await agents.get_version(sql, workspace, run_test.agent_id, version_id)
    chosen = await scenarios.many(sql, workspace, _chosen(run_test, request.scenario_ids))
    return _Opened(
        run_test,
        version,
        chosen,
        await evaluators.many(sql, workspace, None, run_test.evaluator_ids),
        await _revisions(sql, workspace, chosen),
        None if request.client_driven else await agent_target(sql, workspace, version.definition),
        await simulator_target(sql, workspace),
    )


def _chosen(run_test: RunTest, wanted: Sequence[str]) -> list[UUID]:
    """Those of the run test's scenarios that are wanted, all if none is named. Raises Invalid naming every other one."""
    has = {str(scenario_id) for scenario_id in run_test.scenario_ids}
    others = [text for text in wanted if text.lower() not in has]
    if others:
        raise Invalid({"scenario_ids": f"not of this run test: {', '.join(others)}"})
    asked = {text.lower() for text in wanted} or has
    return [scenario_id for scenario_id in run_test.scenario_ids if str(scenario_id) in asked]


async def _revisions(sql: Sql, workspace: UUID, chosen: Sequence[Scenario]) -> dict[UUID, int]:
    wanted = [one.outline.dataset_id for one in chosen if one.outline.kind == DATASET and one.outline.dataset_id]
    revisions = await scenarios.dataset_revisions(sql, workspace, wanted)
    gone = [one.outline.name for one in chosen if one.outline.dataset_id in set(wanted) - revisions.keys()]
    if gone:
        raise Invalid({"scenario_ids": f"the dataset was deleted of: {', '.join(gone)}"})
    return revisions


def _subject(found: _Opened) -> pb.Subject:
    run_test = found.run_test
    scenario_ids = [str(one.id) for one in found.scenarios]
    return pb.Subject(
        subject_id=str(run_test.id),
        target_id=str(found.version.id),
        mode=CONVERSATION,
        language=found.version.definition.language,
        target=found.target,
        simulator=found.simulator,
        evaluators=_judges(found),
        details=struct({"name": run_test.name, "scenario_ids": scenario_ids, "scenario_count": len(scenario_ids)}),
    )


def _judges(found: _Opened) -> list[parts_pb2.Evaluator]:
    judges = [convert.part(one.rule, str(one.id)) for one in found.evaluators if one.rule.is_enabled]
    if found.run_test.tool_evaluation:
        judges.append(parts_pb2.Evaluator(name=TOOL_EVALUATION, template=TOOL_TEMPLATE))
    # A verdict is told by its evaluator's name, and nothing keeps two evaluations from bearing the same one.
    taken: set[str] = set()
    for judge in judges:
        judge.name = _free_name(judge.name, taken)
        taken.add(judge.name)
    return judges


def _free_name(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def _cases(cases: Sequence[catalog_pb2.Case]) -> pb.SubjectPart:
    return pb.SubjectPart(cases=catalog_pb2.CaseBatch(cases=cases))


def _scenario_case(found: _Opened, scenario: Scenario) -> catalog_pb2.Case:
    said = scenario.outline
    return catalog_pb2.Case(
        id=str(scenario.id),
        question=said.lines()[0],
        simulation=_simulation(found, scenario, said.lines(), said.instructions()),
        content=struct(_content(found, scenario)),
    )


def _row_case(found: _Opened, scenario: Scenario, row: asyncpg.Record) -> catalog_pb2.Case:
    opening, said = row["question"] or scenario.outline.name, scenario.outline
    instructions = said.instructions()
    if instructions:
        instructions = f"{instructions}\nWhat you say first: {opening}"
    metadata = (row["content"] or {}).get("metadata") or {}
    content = {**_content(found, scenario), "dataset_row_id": str(row["id"]), "metadata": metadata}
    if isinstance(metadata.get(EXPECTED_CALLS), list | dict):
        content[EXPECTED_CALLS] = metadata[EXPECTED_CALLS]
    return catalog_pb2.Case(
        # Not the row's own id: two scenarios may execute the same dataset.
        id=str(uuid5(scenario.id, str(row["id"]))),
        question=opening,
        expected=row["expected_response"],
        simulation=_simulation(found, scenario, [opening, *said.script], instructions),
        content=struct(content),
    )


def _simulation(found: _Opened, scenario: Scenario, lines: Sequence[str], instructions: str) -> parts_pb2.Simulation:
    said = scenario.outline
    played = bool(instructions) and found.simulator is not None
    return parts_pb2.Simulation(
        script=lines,
        instructions=instructions,
        goal=said.goal or "",
        max_turns=said.max_turns if played else min(said.max_turns, len(lines)),
    )


def _content(found: _Opened, scenario: Scenario) -> dict[str, object]:
    return {
        "tools": found.version.definition.functions(),
        "scenario_id": str(scenario.id),
        "scenario_name": scenario.outline.name,
    }
