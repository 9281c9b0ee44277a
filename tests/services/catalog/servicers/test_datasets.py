"""assay.catalog.v1: datasets of both kinds, made, found, changed and removed."""

from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import ListValue

from assay.catalog.v1 import (
    agent_datasets_pb2 as agent_pb,
    datasets_pb2 as pb,
    evaluation_criteria_pb2,
    prompt_datasets_pb2 as prompt_pb,
    test_cases_pb2,
    test_sets_pb2,
)
from shared.ids import canonical_id, new_id
from tests.services.catalog.datasets import a_prompt_dataset, add, an_agent_dataset, case, cases_of
from tests.services.catalog.house import House, http_code, invalid, not_found, refused


async def get(house: House, project: str, dataset_id: str) -> pb.Dataset:
    request = pb.GetDatasetRequest(project_id=project, dataset_id=dataset_id)
    found: pb.Dataset = await house.datasets.GetDataset(request, metadata=house.us.metadata)
    return found


async def update(house: House, project: str, dataset_id: str, **said: Any) -> pb.Dataset:
    request = prompt_pb.UpdatePromptDatasetRequest(project_id=project, dataset_id=dataset_id, **said)
    changed: pb.Dataset = await house.prompt_datasets.UpdatePromptDataset(request, metadata=house.us.metadata)
    return changed


def texts(*values: Any) -> ListValue:
    made = ListValue()
    made.extend(values)
    return made


async def test_a_dataset_is_made_and_found_by_id_and_name(house: House) -> None:
    project = await house.a_project()
    said: dict[str, Any] = {"description": "d", "input_names": ["question", "n"], "media_input_names": ["photo"], "support_history": True}
    made = await a_prompt_dataset(house, project, name="a / b?", **said)
    assert made == pb.Dataset(id=made.id, name="a / b?", **said)
    assert await get(house, project, made.id) == made
    named = pb.GetDatasetByNameRequest(project_id=project, name="a / b?")
    assert await house.datasets.GetDatasetByName(named, metadata=house.us.metadata) == made
    by_kind = prompt_pb.GetPromptDatasetRequest(project_id=project, dataset_id=made.id)
    assert await house.prompt_datasets.GetPromptDataset(by_kind, metadata=house.us.metadata) == made


async def test_a_name_is_unique_over_both_kinds(house: House) -> None:
    project = await house.a_project()
    await a_prompt_dataset(house, project, name="n")
    agents = await an_agent_dataset(house, project, name="other")
    for clash in (
        a_prompt_dataset(house, project, name="n"),
        an_agent_dataset(house, project, name="n"),
        house.agent_datasets.UpdateAgentDataset(
            agent_pb.UpdateAgentDatasetRequest(project_id=project, dataset_id=agents.id, name="n"), metadata=house.us.metadata
        ),
    ):
        with refused(grpc.StatusCode.ALREADY_EXISTS, "name is taken"):
            await clash
    await a_prompt_dataset(house, await house.a_project(), name="n")
    await a_prompt_dataset(house, project, name="N")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"name": "n" * 256}, "name: must have at most 255 characters"),
        ({"input_names": ["a", ""]}, "input_names[1]: must not be empty"),
        ({"media_input_names": ["m" * 256]}, "media_input_names[0]: must have at most 255 characters"),
        ({"input_names": ["a"] * 1001}, "input_names: must have at most 1000 entries"),
    ],
)
async def test_a_wrong_value_is_named(house: House, said: dict[str, Any], fault: str) -> None:
    project = await house.a_project()
    with invalid(fault):
        await a_prompt_dataset(house, project, **said)
    made = await a_prompt_dataset(house, project)
    with invalid(fault):
        await update(house, project, made.id, **{key: texts(*found) if isinstance(found, list) else found for key, found in said.items()})
    assert await get(house, project, made.id) == made


async def test_names_of_inputs_are_texts(house: House) -> None:
    project = await house.a_project()
    made = await a_prompt_dataset(house, project)
    with invalid("input_names[1]: must be a text"):
        await update(house, project, made.id, input_names=texts("a", 3))


async def test_an_update_leaves_what_it_does_not_name_and_empties(house: House) -> None:
    project = await house.a_project()
    made = await a_prompt_dataset(house, project, description="d", input_names=["a"], support_history=True)
    assert await update(house, project, made.id, name="new") == pb.Dataset(
        id=made.id, name="new", description="d", input_names=["a"], support_history=True
    )
    emptied = await update(house, project, made.id, description="", input_names=texts(), support_history=False)
    assert emptied == pb.Dataset(id=made.id, name="new")
    await update(house, project, made.id, name="new")


async def test_creates_answer_201_and_deletes_204(house: House) -> None:
    project = await house.a_project()
    create = agent_pb.CreateAgentDatasetRequest(project_id=project, name="n")
    assert await http_code(house.agent_datasets.CreateAgentDataset(create, metadata=house.us.metadata)) == "201"
    made = await a_prompt_dataset(house, project)
    bulk = prompt_pb.BulkCreatePromptCasesRequest(project_id=project, dataset_id=made.id, data=[case(inputs={"a": 1})])
    assert await http_code(house.prompt_datasets.BulkCreatePromptCases(bulk, metadata=house.us.metadata)) == "201"
    examples = pb.CreateDatasetCasesRequest(project_id=project, dataset_id=made.id)
    assert await http_code(house.datasets.CreateDatasetCases(examples, metadata=house.us.metadata)) == "201"
    delete = prompt_pb.DeletePromptDatasetRequest(project_id=project, dataset_id=made.id)
    assert await http_code(house.prompt_datasets.DeletePromptDataset(delete, metadata=house.us.metadata)) == "204"


async def test_a_deleted_dataset_is_gone_with_its_cases_and_everybody_is_told(house: House) -> None:
    project = await house.a_project()
    made = await a_prompt_dataset(house, project)
    await add(house, project, made.id, case(inputs={"a": 1}))
    delete = prompt_pb.DeletePromptDatasetRequest(project_id=project, dataset_id=made.id)
    await house.prompt_datasets.DeletePromptDataset(delete, metadata=house.us.metadata)
    with not_found("dataset"):
        await get(house, project, made.id)
    with not_found("dataset"):
        await house.prompt_datasets.DeletePromptDataset(delete, metadata=house.us.metadata)
    async with house.database.connection() as sql:
        left = await sql.fetchval("SELECT count(*) FROM test_cases WHERE test_set_id = $1", canonical_id(made.id))
        events = await sql.fetchval("SELECT count(*) FROM outbox WHERE topic = 'catalog.subject_deleted' AND key LIKE '%' || $1", made.id)
    assert (left, events) == (0, 1)
    assert (house.forgetful.runner, house.forgetful.reporting) == ([made.id], [made.id])
    await a_prompt_dataset(house, project)


async def test_a_list_has_one_kind_oldest_first(house: House) -> None:
    project = await house.a_project()
    made = [await a_prompt_dataset(house, project, name=name) for name in "cab"]
    await an_agent_dataset(house, project)
    wanted = prompt_pb.ListPromptDatasetsRequest(project_id=project, page_size=2)
    first = await house.prompt_datasets.ListPromptDatasets(wanted, metadata=house.us.metadata)
    assert list(first.data) == made[:2]
    assert first.pagination == evaluation_criteria_pb2.Pagination(page=1, page_size=2, has_next=True)
    wanted.page = 2
    second = await house.prompt_datasets.ListPromptDatasets(wanted, metadata=house.us.metadata)
    assert (list(second.data), second.pagination.has_next) == (made[2:], False)
    agents = await house.agent_datasets.ListAgentDatasets(agent_pb.ListAgentDatasetsRequest(project_id=project), metadata=house.us.metadata)
    assert ([one.name for one in agents.data], agents.pagination.page_size) == (["tasks"], 30)


@pytest.mark.parametrize("size", [0, 101])
async def test_a_page_has_1_to_100_datasets(house: House, size: int) -> None:
    wanted = prompt_pb.ListPromptDatasetsRequest(project_id=await house.a_project(), page_size=size)
    with invalid("page_size: must be from 1 to 100"):
        await house.prompt_datasets.ListPromptDatasets(wanted, metadata=house.us.metadata)


async def test_a_dataset_of_the_other_kind_is_not_found(house: House) -> None:
    project = await house.a_project()
    prompts, agents = await a_prompt_dataset(house, project), await an_agent_dataset(house, project)
    with not_found("dataset"):
        await update(house, project, agents.id, name="n")
    with not_found("dataset"):
        bulk = agent_pb.BulkCreateAgentCasesRequest(project_id=project, dataset_id=prompts.id)
        await house.agent_datasets.BulkCreateAgentCases(bulk, metadata=house.us.metadata)
    with not_found("dataset"):
        delete = agent_pb.DeleteAgentDatasetRequest(project_id=project, dataset_id=prompts.id)
        await house.agent_datasets.DeleteAgentDataset(delete, metadata=house.us.metadata)


@pytest.mark.parametrize("which", ["malformed", "unknown", "theirs"])
async def test_an_unknown_project_is_not_found(house: House, which: str) -> None:
    made = await a_prompt_dataset(house, await house.a_project())
    project = {"malformed": "p", "unknown": str(new_id()), "theirs": await house.a_project(house.them)}[which]
    named = pb.ListDatasetCasesByNameRequest(project_id=project, name=made.name)
    for asked in (
        a_prompt_dataset(house, project),
        get(house, project, made.id),
        update(house, project, made.id, name="n"),
        add(house, project, made.id, case(inputs={})),
        cases_of(house, project, made.id),
        house.datasets.ListDatasetCasesByName(named, metadata=house.us.metadata).read(),
        house.prompt_datasets.ListPromptDatasets(prompt_pb.ListPromptDatasetsRequest(project_id=project), metadata=house.us.metadata),
    ):
        with not_found("project"):
            await asked


@pytest.mark.parametrize("which", ["malformed", "unknown", "another project's"])
async def test_an_unknown_dataset_is_not_found(house: House, which: str) -> None:
    project = await house.a_project()
    other = await a_prompt_dataset(house, await house.a_project(), name="other")
    dataset_id = {"malformed": "d", "unknown": str(new_id()), "another project's": other.id}[which]
    named = pb.GetDatasetByNameRequest(project_id=project, name="other")
    for asked in (
        get(house, project, dataset_id),
        house.datasets.GetDatasetByName(named, metadata=house.us.metadata),
        update(house, project, dataset_id, name="n"),
        add(house, project, dataset_id, case(inputs={})),
        cases_of(house, project, dataset_id),
    ):
        with not_found("dataset"):
            await asked


async def test_no_test_set_is_a_dataset_and_no_dataset_a_test_set(house: House) -> None:
    project, made_set = await house.a_project(), await house.a_set()
    with not_found("dataset"):
        await get(house, project, made_set.id)
    made = await a_prompt_dataset(house, project)
    await add(house, project, made.id, case(inputs={"a": 1}))
    said: dict[str, Any] = {"question": "q", "expected_response": "e"}
    for asked in (
        house.sets.GetTestSet(test_sets_pb2.GetTestSetRequest(test_set_id=made.id), metadata=house.us.metadata),
        house.sets.UpdateTestSet(test_sets_pb2.UpdateTestSetRequest(test_set_id=made.id, name="n"), metadata=house.us.metadata),
        house.sets.DeleteTestSet(test_sets_pb2.DeleteTestSetRequest(test_set_id=made.id), metadata=house.us.metadata),
        house.cases.ListTestCases(test_cases_pb2.ListTestCasesRequest(test_set_id=made.id), metadata=house.us.metadata),
        house.cases.CreateTestCase(test_cases_pb2.CreateTestCaseRequest(test_set_id=made.id, **said), metadata=house.us.metadata),
    ):
        with not_found("test set"):
            await asked
    assert len(await cases_of(house, project, made.id)) == 1


async def test_the_same_key_answers_the_first_dataset_again(house: House) -> None:
    request = prompt_pb.CreatePromptDatasetRequest(project_id=await house.a_project(), name="n")
    first, second = [await house.prompt_datasets.CreatePromptDataset(request, metadata=house.us.with_key("dataset-once")) for _ in range(2)]
    assert first == second
