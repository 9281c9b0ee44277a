"""assay.catalog.v1.EvaluationCriterionService."""

from typing import Any

import grpc
import pytest

from assay.catalog.v1 import evaluation_criteria_pb2 as pb
from shared.ids import new_id
from shared.json_values import plain, struct
from tests.services.catalog.house import House, http_code, invalid, not_found, refused
from tests.services.catalog.registry import TEMPLATES

POLITE = {"output": "output"}


async def create(house: House, project: str, **said: Any) -> pb.EvaluationCriterion:
    said = {"name": "polite", "template": "is_polite", "mapping": POLITE, **said}
    said = {field: struct(value) if isinstance(value, dict) else value for field, value in said.items()}
    request = pb.CreateEvaluationCriterionRequest(project_id=project, **said)
    made: pb.EvaluationCriterion = await house.criteria.CreateEvaluationCriterion(request, metadata=house.us.metadata)
    return made


async def update(house: House, project: str, criterion: str, **said: Any) -> pb.EvaluationCriterion:
    said = {field: struct(value) if isinstance(value, dict) else value for field, value in said.items()}
    request = pb.UpdateEvaluationCriterionRequest(project_id=project, criterion_id=criterion, **said)
    changed: pb.EvaluationCriterion = await house.criteria.UpdateEvaluationCriterion(request, metadata=house.us.metadata)
    return changed


async def get(house: House, project: str, criterion: str) -> pb.EvaluationCriterion:
    request = pb.GetEvaluationCriterionRequest(project_id=project, criterion_id=criterion)
    found: pb.EvaluationCriterion = await house.criteria.GetEvaluationCriterion(request, metadata=house.us.metadata)
    return found


async def test_a_criterion_is_made_and_read(house: House) -> None:
    project = await house.a_project()
    made = await create(house, project, passing_score=0.8, is_enabled=False)
    assert (made.name, made.template, plain(made.mapping), made.passing_score) == ("polite", "is_polite", POLITE, 0.8)
    assert (made.is_enabled, made.HasField("config")) == (False, False)
    assert await get(house, project, made.id) == made


async def test_what_is_not_said_is_the_templates_own(house: House) -> None:
    made = await create(house, await house.a_project(), template=TEMPLATES["is_polite"].id)
    assert (made.template, made.passing_score, made.is_enabled) == ("is_polite", 0.5, True)


async def test_a_template_keeps_its_settings(house: House) -> None:
    project = await house.a_project()
    made = await create(house, project, config={"words": ["please"], "any": True})
    assert plain((await get(house, project, made.id)).config) == {"words": ["please"], "any": True}
    assert not (await update(house, project, made.id, config={})).HasField("config")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"name": "n" * 256}, "name: must have at most 255 characters"),
        ({"template": ""}, "template: must not be empty"),
        ({"template": "none"}, "template: is no template"),
        ({"passing_score": 1.1}, "passing_score: must be from 0 to 1"),
        ({"mapping": {}}, "mapping.output: is required"),
        ({"mapping": {"output": "nowhere"}}, "mapping.output: is no known source"),
        ({"mapping": {"output": 3}}, "mapping.output: must be a text"),
    ],
)
async def test_a_wrong_value_is_named(house: House, said: dict[str, Any], fault: str) -> None:
    project = await house.a_project()
    with invalid(fault):
        await create(house, project, **said)
    made = await create(house, project)
    with invalid(fault):
        await update(house, project, made.id, **said)
    assert await get(house, project, made.id) == made


async def test_every_fault_is_named_at_once(house: House) -> None:
    with invalid("name: must not be empty; passing_score: must be from 0 to 1; template: is no template"):
        await create(house, await house.a_project(), name="", passing_score=-1, template="none")


async def test_a_name_is_taken_within_a_project_alone(house: House) -> None:
    project = await house.a_project()
    await create(house, project)
    other = await create(house, project, name="other")
    for clash in (create(house, project), update(house, project, other.id, name="polite")):
        with refused(grpc.StatusCode.ALREADY_EXISTS, "name is taken"):
            await clash
    await create(house, await house.a_project())


async def test_an_update_leaves_what_it_does_not_name(house: House) -> None:
    project = await house.a_project()
    made = await create(house, project, passing_score=0.8, config={"a": 1})
    changed = await update(house, project, made.id, is_enabled=False)
    made.is_enabled = False
    assert changed == made
    moved = await update(house, project, made.id, template="equals", mapping={"output": "output", "expected": "case.expected_response"})
    assert (moved.template, plain(moved.mapping)["expected"], moved.passing_score) == ("equals", "case.expected_response", 0.8)


async def test_a_create_answers_201_and_a_delete_204(house: House) -> None:
    project = await house.a_project()
    request = pb.CreateEvaluationCriterionRequest(project_id=project, name="n", template="is_polite", mapping=struct(POLITE))
    assert await http_code(house.criteria.CreateEvaluationCriterion(request, metadata=house.us.metadata)) == "201"
    made = await create(house, project)
    delete = pb.DeleteEvaluationCriterionRequest(project_id=project, criterion_id=made.id)
    assert await http_code(house.criteria.DeleteEvaluationCriterion(delete, metadata=house.us.metadata)) == "204"
    with not_found("evaluation criterion"):
        await get(house, project, made.id)
    with not_found("evaluation criterion"):
        await house.criteria.DeleteEvaluationCriterion(delete, metadata=house.us.metadata)


async def test_a_list_is_paged_oldest_first(house: House) -> None:
    project = await house.a_project()
    made = [(await create(house, project, name=name)).id for name in "cab"]
    request = pb.ListEvaluationCriteriaRequest(project_id=project, page_size=2)
    answer = await house.criteria.ListEvaluationCriteria(request, metadata=house.us.metadata)
    assert [item.id for item in answer.data] == made[:2]
    assert answer.pagination == pb.Pagination(page=1, page_size=2, has_next=True)
    rest = await house.criteria.ListEvaluationCriteria(pb.ListEvaluationCriteriaRequest(project_id=project), metadata=house.us.metadata)
    assert (len(rest.data), rest.pagination) == (3, pb.Pagination(page=1, page_size=30, has_next=False))


@pytest.mark.parametrize("which", ["malformed", "unknown", "theirs"])
async def test_an_unknown_project_is_not_found(house: House, which: str) -> None:
    made = await create(house, await house.a_project())
    project = {"malformed": "p", "unknown": str(new_id()), "theirs": await house.a_project(house.them)}[which]
    with not_found("project"):
        await create(house, project)
    with not_found("project"):
        await house.criteria.ListEvaluationCriteria(pb.ListEvaluationCriteriaRequest(project_id=project), metadata=house.us.metadata)
    with not_found("project"):
        await get(house, project, made.id)
    with not_found("project"):
        await update(house, project, made.id, name="n")
    delete = pb.DeleteEvaluationCriterionRequest(project_id=project, criterion_id=made.id)
    with not_found("project"):
        await house.criteria.DeleteEvaluationCriterion(delete, metadata=house.us.metadata)


async def test_another_projects_criterion_is_not_found(house: House) -> None:
    project, made = await house.a_project(), await create(house, await house.a_project())
    with not_found("evaluation criterion"):
        await get(house, project, made.id)
    with not_found("evaluation criterion"):
        await update(house, project, made.id, name="n")


async def test_no_scope_is_needed(house: House) -> None:
    request = pb.ListEvaluationCriteriaRequest(project_id=await house.a_project(house.plain))
    assert not (await house.criteria.ListEvaluationCriteria(request, metadata=house.plain.metadata)).data
