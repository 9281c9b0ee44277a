"""What the registry of templates says of evaluators, and what is made of it."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from services.catalog.entities.evaluators import Rule
from services.catalog.operations.evaluators import Evaluators
from services.catalog.store import evaluators as store
from shared.errors import Invalid, NameTaken
from tests.services.catalog.house import House
from tests.services.catalog.registry import TEMPLATES

POLITE = {"output": "output"}


def evaluators(house: House) -> Evaluators:
    return Evaluators(house.database, house.rooms.peers, house.rooms.credentials.now)


async def test_templates_are_named_and_scores_settled(house: House) -> None:
    rules = [Rule("a", TEMPLATES["is_polite"].id, POLITE), Rule("b", "is_polite", POLITE, passing_score=0.0)]
    settled = await evaluators(house).checked(house.us.workspace, rules)
    assert [(rule.name, rule.template, rule.passing_score) for rule in settled] == [("a", "is_polite", 0.5), ("b", "is_polite", 0.0)]


async def test_faults_bear_the_path_of_their_rule(house: House) -> None:
    rules = [Rule("", "is_polite", POLITE), Rule("b", "is_polite", {}), Rule("c", "none")]
    with pytest.raises(Invalid) as refusal:
        await evaluators(house).checked(house.us.workspace, rules, [f"evaluationsConfig[{index}]." for index in range(3)])
    assert set(refusal.value.fields) == {
        "evaluationsConfig[0].name",
        "evaluationsConfig[1].mapping.output",
        "evaluationsConfig[2].template",
    }


async def test_nothing_to_check_is_fine(house: House) -> None:
    assert await evaluators(house).checked(house.us.workspace, []) == []


async def test_evaluators_without_a_project_may_share_a_name(house: House) -> None:
    made = evaluators(house).made(house.us.workspace, None, [Rule("n", "is_polite", POLITE, tags=("a",), type="custom")] * 2)
    async with house.database.transaction() as sql:
        await store.insert(sql, made)
        ids = [made[1].id, made[0].id]
        assert await store.many(sql, house.us.workspace, None, ids) == [made[1], made[0]]
        assert await store.many(sql, house.them.workspace, None, ids) == []
        assert await store.many(sql, house.us.workspace, UUID(int=1), ids) == []


async def test_a_project_has_each_name_once_even_at_once(house: House) -> None:
    project = UUID(await house.a_project())
    made = evaluators(house).made(house.us.workspace, project, [Rule("n", "is_polite", POLITE)] * 2)
    with pytest.raises(NameTaken, match="name is taken"):
        async with house.database.transaction() as sql:
            await store.insert(sql, made)


async def test_two_changes_at_once_are_checked_together(house: House) -> None:
    project = UUID(await house.a_project())
    ours = evaluators(house)
    [made] = ours.made(house.us.workspace, project, [Rule("n", "is_polite", {"output": "output", "expected": "case.expected_response"})])
    async with house.database.transaction() as sql:
        await store.insert(sql, [made])
    alone: list[dict[str, Any]] = [{"mapping": POLITE}, {"template": "equals"}]  # each is right without the other
    async with house.database.transaction() as sql:
        await store.lock(sql, house.us.workspace, project, made.id)
        both = [asyncio.create_task(ours.update(house.us.workspace, project, made.id, changes)) for changes in alone]
        await asyncio.sleep(0.3)  # both were checked, and wait for the row
    ends = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["Evaluator", "Invalid"]
    async with house.database.connection() as sql:
        kept = (await store.get(sql, house.us.workspace, project, made.id)).rule
    assert await ours.checked(house.us.workspace, [kept])


async def test_changes_at_once_that_go_together_all_count(house: House) -> None:
    project = UUID(await house.a_project())
    ours = evaluators(house)
    [made] = ours.made(house.us.workspace, project, [Rule("n", "is_polite", POLITE)])
    async with house.database.transaction() as sql:
        await store.insert(sql, [made])
    changes: list[dict[str, Any]] = [{"name": "m"}, {"passing_score": 0.25}, {"tags": ("a",)}, {"is_enabled": False}]
    await asyncio.gather(*(ours.update(house.us.workspace, project, made.id, each) for each in changes))
    async with house.database.connection() as sql:
        kept = (await store.get(sql, house.us.workspace, project, made.id)).rule
    assert (kept.name, kept.passing_score, kept.tags, kept.is_enabled) == ("m", 0.25, ("a",), False)
