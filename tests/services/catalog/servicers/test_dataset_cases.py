"""assay.catalog.v1: the cases of datasets, in and out."""

from typing import Any

import pytest

from assay.catalog.v1 import agent_datasets_pb2 as agent_pb, datasets_pb2 as pb, prompt_datasets_pb2 as prompt_pb
from tests.services.catalog.datasets import SILENT, a_prompt_dataset, add, an_agent_dataset, case, cases_of, shown
from tests.services.catalog.house import House, invalid

TEXT = [{"type": "text", "text": "Hello"}]
FULL = {
    "inputs": {"question": "Why?", "n": 3, "deep": {"a": [1, None, True]}},
    "output": "Because.",
    "output_message": {"role": "assistant", "content": TEXT},
    "history": [{"role": "system", "content": TEXT}, {"role": "user", "content": TEXT}],
    "metadata": {"source": "test", "level": 1},
    "media_inputs": {"photo": {"type": "url", "url": "https://x.test/a.png"}},
}
CALLS = [
    {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": "it"}},
    {"type": "tool_result", "tool_call_id": "c1", "content": "nothing"},
    {"type": "image", "media_reference": {"base64Data": "AA==", "contentType": "image/png", "media_type": "image"}},
]


async def test_a_prompts_case_comes_back_as_it_was_sent(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    [made] = await add(house, project, dataset.id, case(**FULL))
    assert made == {
        "id": made["id"],
        "values": FULL["inputs"],
        **{field: FULL[field] for field in ("output", "output_message", "history", "metadata")},
    }
    assert await cases_of(house, project, dataset.id) == [made]


async def test_bulk_spells_inputs_both_ways(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    request = prompt_pb.BulkCreatePromptCasesRequest(project_id=project, dataset_id=dataset.id, data=[case(**FULL), case(inputs={})])
    full, empty = (await house.prompt_datasets.BulkCreatePromptCases(request, metadata=house.us.metadata)).data
    assert shown(full) == {"id": full.id, "values": FULL["inputs"], **FULL}
    assert shown(empty) == {"id": empty.id, "inputs": {}, "values": {}, "media_inputs": None, **SILENT}


async def test_every_key_is_there_although_nothing_was_said(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    nothing = dict.fromkeys(("output", "output_message", "history", "metadata", "media_inputs"))
    [silent, null] = await add(house, project, dataset.id, case(inputs={"a": 1}), case(inputs={"a": 1}, **nothing))
    assert silent == {"id": silent["id"], "values": {"a": 1}, **SILENT}
    assert {**null, "id": silent["id"]} == silent


@pytest.mark.parametrize("given", ["a text", 3.5, True, ["a", {"b": None}], {"task": "t"}])
async def test_an_agents_case_has_any_input_and_output(house: House, given: Any) -> None:
    project = await house.a_project()
    dataset = await an_agent_dataset(house, project)
    data = [case(inputs=given, outputs=given, metadata={"m": 1}), case(inputs=given)]
    request = agent_pb.BulkCreateAgentCasesRequest(project_id=project, dataset_id=dataset.id, data=data)
    full, bare = (await house.agent_datasets.BulkCreateAgentCases(request, metadata=house.us.metadata)).data
    assert shown(full) == {"id": full.id, "input": given, "output": given, "metadata": {"m": 1}}
    assert shown(bare) == {"id": bare.id, "input": given, "output": None, "metadata": None}
    values = given if isinstance(given, dict) else None
    assert (await cases_of(house, project, dataset.id))[1] == {"id": bare.id, "input": given, "values": values, **SILENT}


async def test_an_agents_output_may_be_spelled_as_a_prompts(house: House) -> None:
    project = await house.a_project()
    dataset = await an_agent_dataset(house, project)
    [made, both] = await add(house, project, dataset.id, case(inputs="i", output="o"), case(inputs="i", output="o", outputs={"o": 1}))
    assert (made["output"], both["output"]) == ("o", {"o": 1})


async def test_a_message_that_is_a_text_is_shown_in_blocks(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    said = {"role": "user", "content": "Hello", "name": "kept"}
    [made] = await add(house, project, dataset.id, case(inputs={}, output_message=said, history=[said, {"role": "user", "content": CALLS}]))
    assert made["output_message"] == {**said, "content": TEXT}
    assert made["history"] == [{**said, "content": TEXT}, {"role": "user", "content": CALLS}]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({}, "inputs: is required"),
        ({"inputs": None}, "inputs: is required"),
        ({"inputs": "text"}, "inputs: must be an object"),
        ({"output": 3}, "output: must be a text"),
        ({"metadata": []}, "metadata: must be an object"),
        ({"history": {}}, "history: must be an array of messages"),
        ({"history": ["hi"]}, "history[0]: must be a message"),
        ({"history": [{"role": "tool", "content": ""}]}, "history[0].role: must be one of system, user, assistant, developer"),
        ({"output_message": "hi"}, "output_message: must be a message"),
        ({"output_message": {"role": "user"}}, "output_message.content: must be a text or an array of blocks"),
        ({"output_message": {"role": "user", "content": ["hi"]}}, "output_message.content[0].type: must be one of text, tool_call"),
        ({"output_message": {"role": "user", "content": [{"type": "text"}]}}, "output_message.content[0].text: must be a text"),
        ({"output_message": {"role": "user", "content": [{"type": "tool_call"}]}}, "output_message.content[0].id: must be a text"),
        ({"output_message": {"role": "user", "content": [{"type": "tool_result"}]}}, "output_message.content[0].tool_call_id: must be"),
        (
            {"output_message": {"role": "user", "content": [{"type": "image"}]}},
            "output_message.content[0].media_reference: must be an object",
        ),
        ({"media_inputs": []}, "media_inputs: must be an object"),
        ({"media_inputs": {"a": 1}}, "media_inputs.a.type: must be one of url, base64"),
        ({"media_inputs": {"a": {"type": "url"}}}, "media_inputs.a.url: must be a text"),
        ({"media_inputs": {"a": {"type": "base64", "data": ""}}}, "media_inputs.a.content_type: must be a text"),
    ],
)
async def test_a_wrong_case_is_named_and_none_is_made(house: House, said: dict[str, Any], fault: str) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    wrong = case(**({"inputs": {}, **said} if said else {}))
    with invalid(f"examples[1].{fault}"):
        await add(house, project, dataset.id, case(inputs={}), wrong)
    request = prompt_pb.BulkCreatePromptCasesRequest(project_id=project, dataset_id=dataset.id, data=[wrong])
    with invalid(f"data[0].{fault}"):
        await house.prompt_datasets.BulkCreatePromptCases(request, metadata=house.us.metadata)
    assert await cases_of(house, project, dataset.id) == []


async def test_an_agents_case_needs_an_input(house: House) -> None:
    project = await house.a_project()
    dataset = await an_agent_dataset(house, project)
    with invalid("examples[0].inputs: is required; examples[1].metadata: must be an object"):
        await add(house, project, dataset.id, case(outputs="o"), case(inputs=False, metadata="m"))


async def test_no_case_is_no_change(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    assert await add(house, project, dataset.id) == []
    assert await cases_of(house, project, dataset.id) == []


async def test_cases_stay_in_the_order_in_which_they_were_made(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    for first in range(0, 30, 10):
        await add(house, project, dataset.id, *(case(inputs={"n": first + number}) for number in range(10)))
    named = pb.ListDatasetCasesByNameRequest(project_id=project, name=dataset.name)
    by_name = [shown(one) async for one in house.datasets.ListDatasetCasesByName(named, metadata=house.us.metadata)]
    assert [one["values"]["n"] for one in by_name] == list(range(30))


async def test_10_000_cases_are_made_at_once_and_no_more(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    data = [case(inputs={"question": f"q{number}"}, output="a", metadata={"n": number}) for number in range(10_001)]
    request = prompt_pb.BulkCreatePromptCasesRequest(project_id=project, dataset_id=dataset.id, data=data)
    with invalid("data: must have at most 10000 entries"):
        await house.prompt_datasets.BulkCreatePromptCases(request, metadata=house.us.metadata)
    del request.data[-1]
    made = (await house.prompt_datasets.BulkCreatePromptCases(request, metadata=house.us.metadata)).data
    assert [one["id"] for one in await cases_of(house, project, dataset.id)] == [one.id for one in made]
    assert (len(made), shown(made[-1])["metadata"]) == (10_000, {"n": 9_999})


async def test_the_same_key_adds_once(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    request = pb.CreateDatasetCasesRequest(project_id=project, dataset_id=dataset.id, examples=[case(inputs={"a": 1})])
    first, second = [await house.datasets.CreateDatasetCases(request, metadata=house.us.with_key("cases-once")) for _ in range(2)]
    assert first == second
    assert len(await cases_of(house, project, dataset.id)) == 1
