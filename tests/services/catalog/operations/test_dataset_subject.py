"""What a run of a dataset executes."""

from typing import Any

import grpc
import pytest

from assay.catalog.internal.v1 import subjects_pb2 as pb
from services.catalog.entities.datasets import Dataset, DatasetRef
from services.catalog.operations.datasets import Datasets
from services.catalog.store import datasets as store
from shared.errors import NotFound
from shared.ids import canonical_id, new_id
from shared.json_values import plain
from tests.services.catalog.datasets import a_prompt_dataset, add, an_agent_dataset, case
from tests.services.catalog.house import House, invalid, not_found
from tests.services.catalog.servicers.test_evaluation_criteria import create as a_criterion


async def opened(house: House, project: str, **said: Any) -> tuple[pb.Subject, list[Any]]:
    """The subject and its cases."""
    request = pb.OpenSubjectRequest(family="dataset", project_id=project, **said)
    parts = [part async for part in house.subjects.OpenSubject(request, metadata=house.as_service())]
    assert [part.WhichOneof("part") for part in parts] == ["subject", *["cases"] * (len(parts) - 1)]
    return parts[0].subject, [one for part in parts[1:] for one in part.cases.cases]


async def check(house: House, family: str, subject_id: str) -> None:
    await house.subjects.CheckSubject(pb.CheckSubjectRequest(family=family, subject_id=subject_id), metadata=house.as_service())


async def test_a_dataset_is_opened_by_name_and_by_id(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    await add(house, project, dataset.id, case(inputs={"question": "Why?"}, output="Because."))
    subject, cases = await opened(house, project, name=dataset.name)
    assert (subject.subject_id, subject.group_key, subject.target_id, subject.mode) == (dataset.id, project, "", "independent")
    assert (subject.HasField("target"), list(subject.evaluators)) == (False, [])
    assert plain(subject.details) == {"dataset_id": dataset.id, "dataset_name": dataset.name, "kind": "prompt"}
    assert (cases[0].question, cases[0].expected, cases[0].test_method) == ("Why?", "Because.", "")
    assert await opened(house, project, subject_id=dataset.id) == (subject, cases)


async def test_a_case_carries_what_the_run_gives_back(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    message = {"role": "assistant", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "cause."}]}
    media = {"photo": {"type": "url", "url": "u"}}
    said = {"output_message": message, "history": [message], "metadata": {"m": 1}}
    await add(house, project, dataset.id, case(inputs={"a": 1, "b": "ü"}, media_inputs=media, **said))
    [one] = (await opened(house, project, name=dataset.name))[1]
    assert plain(one.content) == {"kind": "prompt", "values": {"a": 1, "b": "ü"}, "output": None, "media_variables": media, **said}
    assert (one.question, one.expected) == ('{"a": 1, "b": "ü"}', "Be\ncause.")


@pytest.mark.parametrize(
    ("given", "question"), [("do it", "do it"), ({"task": "do it"}, "do it"), (["a", 1], '["a", 1]'), (False, "false"), ({"n": 3}, "3")]
)
async def test_an_agents_case_is_read_as_a_text(house: House, given: Any, question: str) -> None:
    project = await house.a_project()
    dataset = await an_agent_dataset(house, project)
    await add(house, project, dataset.id, case(inputs=given, outputs={"done": True}))
    subject, [one] = await opened(house, project, name=dataset.name)
    assert plain(subject.details)["kind"] == "agent"
    assert plain(one.content) == {"kind": "agent", "input": given, "output": {"done": True}, "metadata": None}
    assert (one.question, one.expected) == (question, '{"done": true}')


async def test_the_wanted_evaluators_judge_in_the_order_they_are_named(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    made = [await a_criterion(house, project, name=name, config={"n": name}, passing_score=0.25) for name in "ab"]
    wanted = [made[1].id, made[0].id.upper(), made[1].id]
    subject, _ = await opened(house, project, name=dataset.name, evaluator_ids=wanted)
    assert [judge.name for judge in subject.evaluators] == ["b", "a"]
    judge = subject.evaluators[1]
    assert (judge.id, judge.template, dict(judge.mapping), plain(judge.config)) == (
        made[0].id,
        "is_polite",
        {"output": "output"},
        {"n": "a"},
    )
    assert (judge.passing_score, judge.error_localizer) == (0.25, False)


async def test_evaluators_that_are_unknown_or_disabled_are_all_named(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    fine = (await a_criterion(house, project)).id
    disabled = (await a_criterion(house, project, name="off", is_enabled=False)).id
    foreign = (await a_criterion(house, await house.a_project())).id
    wrong = [disabled, foreign, str(new_id()), "none"]
    with invalid(f"target_evaluation_ids: unknown or disabled: {', '.join(wrong)}"):
        await opened(house, project, name=dataset.name, evaluator_ids=[fine, *wrong])


async def test_an_unknown_project_or_dataset_is_not_found(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    theirs = await house.a_project(house.them)
    for unknown in ("p", str(new_id()), theirs):
        with not_found("project"):
            await opened(house, unknown, name=dataset.name)
    for said in ({"name": "none"}, {"name": ""}, {"subject_id": "d"}, {"subject_id": str(new_id())}):
        with not_found("dataset"):
            await opened(house, project, **said)


async def test_10_000_cases_are_streamed_in_order_in_batches(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    await add(house, project, dataset.id, *(case(inputs={"n": number}) for number in range(1, 10_001)))
    request = pb.OpenSubjectRequest(family="dataset", project_id=project, name=dataset.name)
    parts = [part async for part in house.subjects.OpenSubject(request, metadata=house.as_service())]
    assert [int(one.question) for part in parts for one in part.cases.cases] == list(range(1, 10_001))
    assert max(len(part.cases.cases) for part in parts) == 500


async def test_big_cases_come_in_small_batches(house: House) -> None:
    project = await house.a_project()
    dataset = await a_prompt_dataset(house, project)
    texts = ["".join(f"{(seed * 7919 + place * 104729) % 99991:05d}" for place in range(40_000)) for seed in range(12)]
    await add(house, project, dataset.id, *(case(inputs={"text": text, "n": 1}) for text in texts))
    request = pb.OpenSubjectRequest(family="dataset", project_id=project, name=dataset.name)
    parts = [part async for part in house.subjects.OpenSubject(request, metadata=house.as_service())]
    assert sum(len(part.cases.cases) for part in parts) == 12
    assert max(part.ByteSize() for part in parts) < 4_000_000


async def test_a_stream_is_of_one_moment_and_ends_if_the_dataset_does(house: House) -> None:
    project = await house.a_project()
    made = await a_prompt_dataset(house, project)
    await add(house, project, made.id, *(case(inputs={"n": number}) for number in range(1200)))
    datasets: Datasets = house.rooms.datasets
    found = await _dataset(house, made.id, project)
    seen: list[int] = []
    async for batch in datasets.cases(found):
        await add(house, project, made.id, case(inputs={"n": -1}))
        seen.extend(row["content"]["values"]["n"] for row in batch)
    assert seen == list(range(1200))
    stream = datasets.cases(found)
    await anext(stream)
    await datasets.delete(house.us.workspace, _ref(project, made.id))
    with pytest.raises(NotFound, match="dataset"):
        await anext(stream)


def _ref(project: str, dataset_id: str) -> DatasetRef:
    return DatasetRef(canonical_id(project), canonical_id(dataset_id))


async def _dataset(house: House, dataset_id: str, project: str) -> Dataset:
    async with house.database.connection() as sql:
        return await store.get(sql, house.us.workspace, _ref(project, dataset_id))


async def test_datasets_and_projects_are_checked(house: House) -> None:
    project = await house.a_project()
    dataset, test_set = await an_agent_dataset(house, project), await house.a_set()
    await check(house, "dataset", dataset.id)
    await check(house, "project", project)
    for unknown in ("d", str(new_id()), test_set.id):
        with not_found("dataset"):
            await check(house, "dataset", unknown)
    for unknown in ("p", str(new_id()), await house.a_project(house.them)):
        with not_found("project"):
            await check(house, "project", unknown)


async def test_a_project_is_nothing_to_execute(house: House) -> None:
    request = pb.OpenSubjectRequest(family="project", project_id=await house.a_project())
    with invalid("family: can't be executed"):
        await house.subjects.OpenSubject(request, metadata=house.as_service()).read()


async def test_users_are_kept_out(house: House) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await house.subjects.CheckSubject(pb.CheckSubjectRequest(family="project"), metadata=house.us.metadata)
    assert refusal.value.code() in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}
